package bridgetest

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/message"
)

func outcomes(j *kit) {
	row := func(v string) []bridge.StateRow { return []bridge.StateRow{{Key: "h", Value: []byte(v)}} }
	taken := direct(bridge.XMPP, "1001", "1002", "a")
	taken.State = row("1")
	ignored := &bridge.Record{Origin: bridge.XMPP, Verdict: bridge.VerdictIgnore, Reason: "receipt", State: row("2")}
	refused := &bridge.Record{Origin: bridge.XMPP, Verdict: bridge.VerdictReject, Reason: "bad_json", From: "1001", State: row("3"),
		Deliveries: []bridge.Delivery{{Side: bridge.XMPP, Kind: bridge.KindError, Lane: "e", Note: bridge.Note{Reply: bridge.ReplyTo{Sender: "r1"}, Reason: "bad_json", Text: "no"}}}}
	twin := again(taken)
	twin.State = row("4")
	j.append(taken, ignored, refused, twin)
	for i, want := range []bridge.Outcome{bridge.OutcomeTaken, bridge.OutcomeIgnored, bridge.OutcomeRefused, bridge.OutcomeDuplicate} {
		if got := []*bridge.Record{taken, ignored, refused, twin}[i].Outcome; got != want {
			j.Errorf("record %d: outcome %d, want %d", i, got, want)
		}
	}
	rows, err := j.State(j.Context(), bridge.XMPP)
	if err != nil || string(rows["h"]) != "4" {
		j.Errorf("state is %q (%v), want the last record's", rows["h"], err)
	}
	j.wantCount(4, "received", bridge.XMPP, "")
	j.wantCount(1, "ignored", bridge.XMPP, "receipt")
	j.wantCount(1, "refused", bridge.XMPP, "bad_json")
	j.wantCount(1, "duplicate", bridge.XMPP, "")
	if a := j.Totals(); a.Pending[bridge.XMPP] != 1 || a.Open[bridge.MQTT] != 1 || a.Oldest > time.Minute {
		j.Errorf("pending %v, open %v, oldest %v: want one", a.Pending, a.Open, a.Oldest)
	}
	o := j.next(bridge.XMPP)
	if o.Kind != bridge.KindError || o.Note.Reply != (bridge.ReplyTo{Sender: "r1"}) || o.Note.Text != "no" {
		j.Errorf("the answer is %+v", o)
	}
	j.settle(o.Ref, j.wantMessages(bridge.MQTT, "1002", string(taken.Body)).Ref)
	j.wantNotice("1001", "sent")
	j.quiet()
	if a := j.Totals(); a.Pending[bridge.XMPP] != 0 || a.Open[bridge.MQTT] != 0 || a.Oldest != 0 {
		j.Errorf("pending %v, open %v, oldest %v: want none", a.Pending, a.Open, a.Oldest)
	}
}

func refusalLeavesNoKey(j *kit) {
	r := direct(bridge.MQTT, "1001", "1002", "a")
	bad := again(r)
	bad.Verdict, bad.Reason, bad.Deliveries = bridge.VerdictReject, "retained", nil
	j.want(bridge.OutcomeRefused, bad)
	j.want(bridge.OutcomeTaken, r)
}

func numbers(j *kit) {
	seen := map[uint64]bool{}
	texts := map[string]bool{}
	for range 100 {
		n, text := j.NewID()
		if n == 0 || seen[n] || texts[text] || !strings.HasPrefix(text, "cr-") {
			j.Fatalf("number %d, text %q: given before", n, text)
		}
		seen[n], texts[text] = true, true
	}
	r := direct(bridge.XMPP, "1001", "1002", "a")
	r.ID, _ = j.NewID()
	j.take(r, direct(bridge.XMPP, "1001", "1002", "b"))
	if o := j.next(bridge.MQTT); o.Ref != (bridge.Ref{Msg: r.ID}) || seen[o.Ref.Msg] {
		j.Errorf("ref %v, want message %d", o.Ref, r.ID)
	}
	if o := j.next(bridge.MQTT); seen[o.Ref.Msg] || o.Ref.Msg == r.ID {
		j.Errorf("ref %v has a number that was given before", o.Ref)
	}
}

func twins(j *kit) {
	a := direct(bridge.XMPP, "1001", "1002", "a")
	b, other := again(a), direct(bridge.XMPP, "1001", "1002", "b")
	j.append(a, other, b)
	if a.Outcome != bridge.OutcomeTaken || other.Outcome != bridge.OutcomeTaken || b.Outcome != bridge.OutcomeDuplicate {
		j.Errorf("outcomes %d, %d, %d", a.Outcome, other.Outcome, b.Outcome)
	}
}

func twinsInFlight(j *kit) {
	const n = 16
	recs := make([]*bridge.Record, n)
	var all sync.WaitGroup
	for i := range recs {
		recs[i] = direct(bridge.XMPP, "1001", "1002", "a")
		all.Go(func() {
			if err := j.Append(j.Context(), recs[i:i+1]); err != nil {
				j.Error(err)
			}
		})
	}
	all.Wait()
	taken := 0
	for _, r := range recs {
		switch r.Outcome {
		case bridge.OutcomeTaken:
			taken++
		case bridge.OutcomeDuplicate:
		default:
			j.Errorf("outcome %d", r.Outcome)
		}
	}
	if taken != 1 {
		j.Errorf("%d of %d twins were taken", taken, n)
	}
	j.next(bridge.MQTT)
	j.quiet()
}

func echo(j *kit) {
	r := direct(bridge.XMPP, "1001", "1002", "a")
	out := keyOf("the copy that went out")
	r.Keys = append(r.Keys, out)
	j.take(r)
	for _, key := range r.Keys { // either is an echo: while it is pending, and after
		back := direct(bridge.MQTT, "1001", "1002", "")
		back.Keys = []message.Key{key}
		j.want(bridge.OutcomeDuplicate, back)
	}
	j.settle(j.next(bridge.MQTT).Ref)
	j.wantNotice("1001", "sent")
	back := direct(bridge.MQTT, "1001", "1002", "")
	back.Keys = []message.Key{out}
	j.want(bridge.OutcomeDuplicate, back)
	j.quiet()
	j.wantCount(3, "duplicate", bridge.MQTT, "")
}

func forgedTwin(j *kit) {
	j.take(direct(bridge.MQTT, "1001", "1002", "a"))
	j.take(direct(bridge.XMPP, "1001", "1002", "a"))
	j.want(bridge.OutcomeDuplicate, direct(bridge.XMPP, "1001", "1002", "a"))
	j.wantMessages(bridge.MQTT, "1002", "")
}

func retries(j *kit) {
	for _, origin := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		far := bridge.MQTT + bridge.XMPP - origin
		ok, bad, back := direct(origin, "1001", "1002", "ok"), direct(origin, "1001", "1003", "bad"), direct(origin, "1001", "1004", "back")
		j.take(ok, bad, back)
		for _, r := range []*bridge.Record{ok, bad, back} {
			j.want(bridge.OutcomeDuplicate, again(r)) // pending: silence
		}
		first, second, o := j.wantMessages(far, "1002", ""), j.wantMessages(far, "1003", ""), j.wantMessages(far, "1004", "")
		j.quiet()
		j.settle(first.Ref)
		j.wantNotice("1001", "sent")
		j.bury(second.Ref, "no_such_user", "nobody there")
		j.wantNotice("1001", "failed")
		j.settle(o.Ref)
		j.wantNotice("1001", "sent")
		j.Bounce(o.Ref, bridge.Refuse("gone", "moved away"))
		j.wantNotice("1001", "failed")
		for range 2 {
			j.want(bridge.OutcomeDuplicate, again(ok))
			j.wantNotice("1001", "sent")
			j.want(bridge.OutcomeDuplicate, again(bad))
			if n := j.wantNotice("1001", "failed"); n.Note.Text != "nobody there" {
				j.Errorf("a dead one's reason is %q", n.Note.Text)
			}
			j.want(bridge.OutcomeDuplicate, again(back))
			if n := j.wantNotice("1001", "failed"); n.Note.Text != "moved away" {
				j.Errorf("a bounced one's reason is %q", n.Note.Text)
			}
		}
		j.quiet()
		j.sum()
	}
}

func retryReceipt(j *kit) {
	r := direct(bridge.XMPP, "1001", "1002", "a")
	j.take(r)
	j.settle(j.next(bridge.MQTT).Ref)
	j.wantNotice("1001", "sent")
	j.nothing(bridge.XMPP) // none was asked for
	r = again(r)
	r.Reply, r.Receipt = bridge.ReplyTo{Sender: "reply-2"}, true
	j.want(bridge.OutcomeDuplicate, r)
	j.wantNotice("1001", "sent")
	if o := j.next(bridge.XMPP); o.Kind != bridge.KindReceipt || o.Note.Reply != (bridge.ReplyTo{Sender: "reply-2"}) {
		j.Errorf("got %+v, want a receipt", o)
	}
}

// retryOutsider: who has left a group hears what became of what it took from him. A notice about what came by MQTT keeps
// its key fields alone.
func retryOutsider(j *kit) {
	for _, origin := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		text := strings.Repeat("a", 5000)
		r := direct(origin, "1001", "1002", text)
		j.take(r)
		j.settle(j.next(r.Deliveries[0].Side).Ref)
		j.wantNotice("1001", "sent")
		r = again(r)
		r.Verdict, r.Reason, r.Deliveries = bridge.VerdictReject, bridge.NotMember, nil
		j.want(bridge.OutcomeDuplicate, r)
		notice := j.wantNotice("1001", "sent")
		if whole := bytes.Contains(notice.Body, []byte(text)); whole != (origin == bridge.XMPP) {
			j.Errorf("the notice about what came by %v has the content: %v", origin, whole)
		}
		r = again(r)
		r.Redelivered = true
		j.want(bridge.OutcomeDuplicate, r)
		j.quiet()
	}
}

func redelivery(j *kit) {
	r := direct(bridge.MQTT, "1001", "1002", "a")
	j.take(r)
	j.settle(j.next(bridge.XMPP).Ref)
	j.wantNotice("1001", "sent")
	r = again(r)
	r.Redelivered = true
	j.want(bridge.OutcomeDuplicate, r)
	j.quiet()
}

func otherInbox(j *kit) {
	r := direct(bridge.MQTT, "1001", "1002", "a")
	j.take(r)
	j.settle(j.next(bridge.XMPP).Ref)
	j.wantNotice("1001", "sent")
	r = again(r)
	r.Via = "1003"
	j.want(bridge.OutcomeDuplicate, r)
	j.quiet()
}

func wireKey(j *kit) {
	r := direct(bridge.XMPP, "1001", "1002", "a")
	r.WireKey = keyOf("archive id 1")
	j.take(r)
	j.settle(j.next(bridge.MQTT).Ref)
	j.wantNotice("1001", "sent")
	other := direct(bridge.XMPP, "1001", "1002", "with another key")
	other.WireKey = r.WireKey
	j.want(bridge.OutcomeDuplicate, other)
	j.quiet()

	retry := again(r)
	retry.WireKey = keyOf("archive id 2") // the sender's own second try
	j.want(bridge.OutcomeDuplicate, retry)
	j.wantNotice("1001", "sent")
	j.want(bridge.OutcomeDuplicate, again(retry)) // the archive brings that one again
	j.quiet()
}

func directNotice(j *kit) {
	j.take(direct(bridge.MQTT, "1001", "1002", "a"), direct(bridge.MQTT, "1001", "1003", "b"))
	j.settle(j.wantMessages(bridge.XMPP, "1002", "").Ref)
	j.wantNotice("1001", "sent")
	j.bury(j.wantMessages(bridge.XMPP, "1003", "").Ref, "too_big", "too big for the server")
	if n := j.wantNotice("1001", "failed"); n.Note.Text != "too big for the server" {
		j.Errorf("reason %q", n.Note.Text)
	}
	j.wantCount(1, "delivered", bridge.MQTT, "")
	j.wantCount(1, "dead", bridge.MQTT, "too_big")
	j.quiet()
}

func groupNotice(j *kit) {
	j.take(circular("1001", "a", "room@x", "1002", "1003"))
	first, second, room := j.wantMessages(bridge.MQTT, "1002", ""), j.wantMessages(bridge.MQTT, "1003", ""), j.wantMessages(bridge.XMPP, "room@x", "")
	if !strings.Contains(string(first.Body), `"1002"`) || !strings.Contains(string(second.Body), `"1003"`) {
		j.Errorf("the copies are %q and %q, want each member's own", first.Body, second.Body)
	}
	j.settle(room.Ref)
	j.settle(second.Ref)
	j.quiet()
	j.wantCount(0, "delivered", bridge.XMPP, "")
	j.settle(first.Ref)
	j.wantCount(1, "delivered", bridge.XMPP, "")
	j.wantNotice("1001", "sent")
	j.quiet()
}

func groupFails(j *kit) {
	j.take(circular("1001", "a", "room@x", "1002", "1003"))
	first, second, room := j.wantMessages(bridge.MQTT, "1002", ""), j.wantMessages(bridge.MQTT, "1003", ""), j.wantMessages(bridge.XMPP, "room@x", "")
	j.Settle(bridge.Result{Ref: room.Ref, Err: bridge.Refuse("no_room", "the room is gone")}, bridge.Result{Ref: first.Ref})
	j.settle(second.Ref)
	n := j.wantNotice("1001", "failed")
	for _, want := range []string{"1 of 3", "room@x", "the room is gone"} {
		if !strings.Contains(n.Note.Text, want) {
			j.Errorf("reason %q does not say %q", n.Note.Text, want)
		}
	}
	j.wantCount(1, "dead", bridge.XMPP, "no_room")
	j.quiet()
}

func receipts(j *kit) {
	good, bad := direct(bridge.XMPP, "1001", "1002", "a"), direct(bridge.XMPP, "1001", "1003", "b")
	good.Reply, good.Receipt, bad.Reply, bad.Receipt = bridge.ReplyTo{Sender: "reply-1"}, true, bridge.ReplyTo{Sender: "reply-2"}, true
	j.take(good, bad)
	j.settle(j.wantMessages(bridge.MQTT, "1002", "").Ref)
	j.bury(j.wantMessages(bridge.MQTT, "1003", "").Ref, "no", "no")
	j.wantNotice("1001", "sent")
	j.wantNotice("1001", "failed")
	o := j.next(bridge.XMPP)
	if o.Kind != bridge.KindReceipt || o.Note.Reply != (bridge.ReplyTo{Sender: "reply-1"}) {
		j.Errorf("got %+v, want a receipt", o)
	}
	j.bind(o.Ref, "n")
	j.settle(o.Ref)
	j.wantError("reply-2", "no", "no")
	j.quiet()
}
