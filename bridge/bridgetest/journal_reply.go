package bridgetest

import (
	"chatrelay/bridge"
)

// wantError takes the next delivery for XMPP, which is a stanza error about what was taken before, and settles it.
func (j *kit) wantError(reply, reason, text string) {
	j.Helper()
	o := j.next(bridge.XMPP)
	n := o.Note
	if o.Kind != bridge.KindError || n.Reply != bridge.ParseReplyTo(reply) || n.Reason != reason || n.Text != text || n.Status != "failed" || n.At == 0 {
		j.Fatalf("next is kind %d (%+v), want an error to %q: %s, %s", o.Kind, n, reply, reason, text)
	}
	j.settle(o.Ref)
}

func stanza(r *bridge.Record, reply string, receipt bool) *bridge.Record {
	r.Reply, r.Receipt = bridge.ParseReplyTo(reply), receipt
	return r
}

// laterFailure: who sent a stanza may have no inbox, and hears of a failure by stanza error, once.
func laterFailure(j *kit) {
	asked := stanza(direct(bridge.XMPP, "1001", "1002", "a"), "one\x00r1", true)
	not := stanza(direct(bridge.XMPP, "1003", "1002", "b"), "two\x00r2", false)
	published := direct(bridge.MQTT, "1001", "1005", "c")
	j.take(asked, not, published)
	first, second := j.wantMessages(bridge.MQTT, "1002", "").Ref, j.wantMessages(bridge.MQTT, "1002", "").Ref
	j.bury(first, "no", "nobody")
	j.bury(second, "no", "nobody")
	j.bury(j.wantMessages(bridge.XMPP, "1005", "").Ref, "no", "nobody") // that sender has an inbox only
	j.wantError("one\x00r1", "no", "nobody")
	j.wantError("two\x00r2", "no", "nobody")
	for range 3 { // the inboxes hear of it as well
		if o := j.next(bridge.MQTT); o.Note.Status != "failed" {
			j.Errorf("got %+v, want a notice", o)
		} else {
			j.settle(o.Ref)
		}
	}
	j.Bounce(first, bridge.Refuse("gone", "moved away"))
	j.quiet()
}

// laterBounce: what was sent, and said to be, and then came back.
func laterBounce(j *kit) {
	r := stanza(circular("1001", "to all", "room@x", "1002"), "one\x00r1", true)
	j.take(r)
	copied, post := j.wantMessages(bridge.MQTT, "1002", ""), j.wantMessages(bridge.XMPP, "room@x", "")
	j.settle(copied.Ref, post.Ref)
	j.wantNotice("1001", "sent")
	receipt := j.next(bridge.XMPP)
	if receipt.Kind != bridge.KindReceipt {
		j.Fatalf("got %+v, want a receipt", receipt)
	}
	j.settle(receipt.Ref)
	j.Bounce(post.Ref, bridge.Refuse("gone", "moved away"))
	j.wantNotice("1001", "failed")
	j.wantError("one\x00r1", "gone", "moved away")
	j.Bounce(copied.Ref, bridge.Refuse("gone", "moved away"))
	j.quiet()
	j.want(bridge.OutcomeDuplicate, stanza(again(r), "one\x00r2", false)) // a retry is answered where it came from
	j.wantNotice("1001", "failed")
	j.wantError("one\x00r2", "failed_before", "moved away")
	j.quiet()
}
