package bridgetest

import (
	"fmt"

	"chatrelay/bridge"
)

// unproven closes the next delivery of MQTT as settled on a word that proves nothing.
func (j *kit) unproven() bridge.Outbound {
	j.Helper()
	o := j.next(bridge.MQTT)
	j.Settle(bridge.Result{Ref: o.Ref, Unproven: true})
	j.sync()
	return o
}

// unconfirmed: what was settled unproven is delivered; what is never confirmed is bounced, once.
func unconfirmed(j *kit) {
	why := bridge.Refuse("no_right", "it may not have arrived")
	j.BounceUnconfirmed(bridge.MQTT, j.LastUnproven(), 0, why) // of nothing
	before := j.LastUnproven()
	for i := range 3 {
		j.take(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)))
		j.unproven()
		j.wantNotice("1001", "sent")
	}
	if got := j.LastUnproven(); got != before+3 {
		j.Fatalf("mark %d after three, it was %d", got, before)
	}
	j.Confirm(bridge.MQTT, before+1)
	j.Confirm(bridge.XMPP, before+3) // of another side
	j.BounceUnconfirmed(bridge.MQTT, before+2, 0, why)
	j.sync()
	j.wantNotice("1001", "failed")
	j.quiet() // the third is not meant
	j.BounceUnconfirmed(bridge.MQTT, j.LastUnproven(), 0, why)
	j.sync()
	if n := j.wantNotice("1001", "failed"); n.Note.Text != why.Text {
		j.Errorf("the notice says %q", n.Note.Text)
	}
	j.BounceUnconfirmed(bridge.MQTT, j.LastUnproven(), 0, why) // they were
	j.sync()
	j.quiet()
	j.wantCount(2, bridge.Unconfirmed, bridge.MQTT, "")
	j.wantCount(2, "bounced", bridge.XMPP, "no_right")
	j.wantCount(3, "delivered", bridge.XMPP, "")
	r := direct(bridge.XMPP, "1001", "1002", "2")
	j.want(bridge.OutcomeDuplicate, r)
	j.wantNotice("1001", "failed")
}

// unconfirmedByLength: only what is longer than the far side is known to take is bounced.
func unconfirmedByLength(j *kit) {
	long := direct(bridge.XMPP, "1001", "1002", fmt.Sprintf("%0500d", 1))
	j.take(direct(bridge.XMPP, "1001", "1002", "short"), long)
	for range 2 {
		if o := j.next(bridge.MQTT); o.Kind.IsMessage() {
			j.Settle(bridge.Result{Ref: o.Ref, Unproven: true})
		} else {
			j.settle(o.Ref)
		}
	}
	j.BounceUnconfirmed(bridge.MQTT, j.LastUnproven(), 500, bridge.Refuse("too_large", "too long"))
	j.BounceUnconfirmed(bridge.MQTT, j.LastUnproven(), 0, bridge.Refuse("no_right", "no right")) // none is left
	j.sync()
	j.wantCount(1, bridge.Unconfirmed, bridge.MQTT, "")
	j.wantCount(1, "bounced", bridge.XMPP, "too_large")
	j.wantCount(0, "bounced", bridge.XMPP, "no_right")
}

// unconfirmedGroup: one copy that is not confirmed fails its message, once, also while others are open.
func unconfirmedGroup(j *kit) {
	j.take(circular("1001", "a", "room@x", "1002", "1003"))
	first, second := j.next(bridge.MQTT), j.next(bridge.MQTT)
	post := j.next(bridge.XMPP)
	j.Settle(bridge.Result{Ref: first.Ref, Unproven: true})
	j.BounceUnconfirmed(bridge.MQTT, j.LastUnproven(), 0, bridge.Refuse("no_right", "no right"))
	j.Settle(bridge.Result{Ref: second.Ref, Unproven: true})
	j.settle(post.Ref)
	j.Confirm(bridge.MQTT, j.LastUnproven())
	j.BounceUnconfirmed(bridge.MQTT, j.LastUnproven(), 0, bridge.Refuse("no_right", "no right"))
	j.sync()
	j.wantNotice("1001", "failed")
	j.quiet()
	j.wantCount(1, bridge.Unconfirmed, bridge.MQTT, "")
	j.wantCount(1, "delivered", bridge.XMPP, "")
}
