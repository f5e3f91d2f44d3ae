package bridgetest

import (
	"fmt"
	"slices"

	"chatrelay/bridge"

	"github.com/google/go-cmp/cmp"
)

func boundIsHeld(j *kit) {
	r := direct(bridge.XMPP, "1001", "1002", "a")
	j.take(r)
	o := j.next(bridge.MQTT)
	j.bind(o.Ref, "packet 1")
	j.quiet()
	j.bind(o.Ref, "packet 1, released")
	deliveries, err := j.Bound(j.Context(), bridge.MQTT)
	if err != nil {
		j.Fatal(err)
	}
	for i := range deliveries {
		deliveries[i].Age = o.Age // it has grown since
	}
	if diff := cmp.Diff([]bridge.BoundDelivery{{Outbound: o, Binding: []byte("packet 1, released")}}, deliveries); diff != "" {
		j.Error(diff)
	}
	if deliveries, err := j.Bound(j.Context(), bridge.XMPP); err != nil || len(deliveries) != 0 {
		j.Errorf("the other side holds %v (%v)", deliveries, err)
	}
	j.settle(o.Ref)
	j.wantBound()
}

// wantBound checks what MQTT holds, in order.
func (j *kit) wantBound(want ...bridge.Ref) {
	j.Helper()
	deliveries, err := j.Bound(j.Context(), bridge.MQTT)
	if err != nil {
		j.Fatal(err)
	}
	var refs []bridge.Ref
	for _, l := range deliveries {
		refs = append(refs, l.Ref)
	}
	if !slices.Equal(refs, want) {
		j.Fatalf("bound is %v, want %v", refs, want)
	}
}

func boundOrder(j *kit) {
	r := j.three()
	j.Bind(r[2], []byte("1"))
	j.Bind(r[0], []byte("2"))
	j.bind(r[1], "3")
	j.wantBound(r[2], r[0], r[1])
	j.bind(r[2], "1, released") // keeps its place
	j.wantBound(r[2], r[0], r[1])
	j.Unbind(r[2])
	j.wantBound(r[0], r[1])
	j.wantRefs(r[2])
	j.bind(r[2], "4")
	j.wantBound(r[0], r[1], r[2])
}

func unbind(j *kit) {
	r := j.three()
	for _, ref := range r {
		j.Bind(ref, []byte("held"))
	}
	j.Unbind(r[2], r[0])
	j.wantRefs(r[0], r[2])
	j.Bind(r[0], []byte("held again"))
	j.Unbind(r[1], r[0], bridge.Ref{Msg: 1 << 40})
	j.Unbind() // of nothing
	j.wantRefs(r[0], r[1])
	j.wantMessages(bridge.MQTT, "1002", string(bodyOf("1001", "3")))
	j.wantBound()
	j.Unbind(r[1]) // not bound: it stays with who has it
	j.quiet()
}

func bindAgain(j *kit) {
	r := j.three()
	j.Bind(r[0], []byte("a"))
	j.bind(r[1], "b")
	// The queue may take all of this into one commit: what is bound anew is last.
	j.Unbind(r[1], r[0])
	j.wantRefs(r[0], r[1])
	j.Bind(r[2], []byte("c"))
	j.Bind(r[0], []byte("d"))
	j.bind(r[1], "e")
	j.wantBound(r[2], r[0], r[1])
	j.quietAfterFourth()
}

func (j *kit) quietAfterFourth() {
	j.Helper()
	j.wantMessages(bridge.MQTT, "1002", string(bodyOf("1001", "3")))
	j.quiet()
}

func tickets(j *kit) {
	r := j.three()
	a, b, c := j.Bind(r[0], []byte("1")), j.SetState(bridge.XMPP, bridge.StateRow{Key: "k", Value: []byte("v")}), j.Bind(r[1], nil)
	if a == 0 || b <= a || c <= b {
		j.Errorf("tickets %d, %d, %d do not grow", a, b, c)
	}
	for _, n := range []uint64{c, a, b, 0} {
		if err := j.Wait(j.Context(), n); err != nil {
			j.Errorf("ticket %d: %v", n, err)
		}
	}
	d := j.Bind(bridge.Ref{Msg: 1 << 40}, []byte("unknown"))
	if err := j.Wait(j.Context(), d); err != nil || d <= c {
		j.Errorf("ticket %d of an unknown delivery: %v", d, err)
	}
	if err := j.Wait(j.Context(), d+1000); err == nil {
		j.Error("a ticket that was never given out is good")
	}
	j.wantBound(r[0], r[1])
}

func closeTwice(j *kit) {
	r := j.three()
	j.Settle(bridge.Result{Ref: r[0]}, bridge.Result{Ref: r[0], Err: bridge.Refuse("no", "no")})
	j.Settle()
	j.settle(r[0], bridge.Ref{Msg: 1 << 40}, bridge.Ref{Msg: r[0].Msg, Delivery: 9})
	j.wantMessages(bridge.MQTT, "1002", string(bodyOf("1001", "3")))
	j.wantNotice("1001", "sent")
	j.quiet()
	j.bury(r[1], "no", "no")
	j.settle(r[1])
	j.wantNotice("1001", "failed")
	j.quiet()
	j.wantCount(1, "delivered", bridge.XMPP, "")
	j.wantCount(1, "dead", bridge.XMPP, "no")
}

func closeWaiting(j *kit) {
	j.take(direct(bridge.XMPP, "1001", "1002", "a"))
	o := j.next(bridge.MQTT)
	j.bind(o.Ref, "1")
	j.Unbind(o.Ref)
	j.settle(o.Ref) // the far side had it after all
	j.wantNotice("1001", "sent")
	j.quiet()
	j.Bind(o.Ref, []byte("2"))
	j.Unbind(o.Ref)
	j.quiet()
}

func state(j *kit) {
	row := func(k, v string) bridge.StateRow { return bridge.StateRow{Key: k, Value: []byte(v)} }
	j.SetState(bridge.MQTT, row("a", "1"), row("b", "2"), row("empty", ""))
	value := []byte("mine")
	j.SetState(bridge.XMPP, bridge.StateRow{Key: "a", Value: value})
	copy(value, "XXXX") // the caller's own again
	j.SetState(bridge.MQTT, row("b", "3"), bridge.StateRow{Key: "a"}, bridge.StateRow{Key: "never was"})
	for side, want := range map[bridge.SideID]map[string][]byte{
		bridge.MQTT: {"b": []byte("3"), "empty": {}},
		bridge.XMPP: {"a": []byte("mine")},
	} {
		got, err := j.State(j.Context(), side)
		if err != nil {
			j.Fatal(err)
		}
		if len(got["empty"]) == 0 && got["empty"] == nil && side == bridge.MQTT {
			if _, there := got["empty"]; there {
				got["empty"] = []byte{}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			j.Errorf("%v: %s", side, diff)
		}
	}
}

func stateWithWork(j *kit) {
	r := direct(bridge.XMPP, "1001", "1002", "a")
	r.State = []bridge.StateRow{{Key: "h", Value: []byte("1")}}
	j.take(r)
	o := j.next(bridge.MQTT)
	j.bind(o.Ref, "1")
	j.Settle(bridge.Result{Ref: o.Ref, State: []bridge.StateRow{{Key: "id", Value: []byte("free")}}})
	for side, want := range map[bridge.SideID]map[string][]byte{
		bridge.MQTT: {"id": []byte("free")}, bridge.XMPP: {"h": []byte("1")},
	} {
		got, err := j.State(j.Context(), side)
		if err != nil {
			j.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			j.Errorf("%v: %s", side, diff)
		}
	}
}

func counters(j *kit) {
	j.Count(bridge.MQTT, bridge.MaybeDuplicate, 2)
	j.Count(bridge.MQTT, bridge.MaybeDuplicate, 1)
	j.Count(bridge.XMPP, bridge.MaybeDuplicate, 1)
	j.sync()
	j.wantCount(3, bridge.MaybeDuplicate, bridge.MQTT, "")
	j.wantCount(1, bridge.MaybeDuplicate, bridge.XMPP, "")
}

func bounce(j *kit) {
	j.take(direct(bridge.MQTT, "1001", "1002", "a"))
	o := j.next(bridge.XMPP)
	j.settle(o.Ref)
	j.wantNotice("1001", "sent")
	j.Bounce(o.Ref, bridge.Refuse("gone", "moved away"))
	if n := j.wantNotice("1001", "failed"); n.Note.Text != "moved away" {
		j.Errorf("reason %q", n.Note.Text)
	}
	j.Bounce(o.Ref, bridge.Refuse("gone", "moved away"))
	j.quiet()
	j.wantCount(1, "delivered", bridge.MQTT, "")
	j.wantCount(0, "dead", bridge.MQTT, "gone")
	if n := j.count("bounced", bridge.MQTT, "gone"); n < 1 {
		j.Errorf("bounced is %d", n)
	}
}

func bounceOpen(j *kit) {
	j.take(direct(bridge.MQTT, "1001", "1002", "a"), direct(bridge.MQTT, "1001", "1003", "b"))
	o := j.next(bridge.XMPP)
	j.bind(o.Ref, "1")
	j.Bounce(o.Ref, bridge.Refuse("gone", "moved away"))
	j.settle(o.Ref)
	j.wantNotice("1001", "failed")
	waits := j.next(bridge.XMPP)
	j.Release(waits.Ref)
	j.Bounce(waits.Ref, bridge.Refuse("gone", "moved away"))
	j.sync()
	j.wantNotice("1001", "failed")
	j.quiet()
	j.wantCount(2, "dead", bridge.MQTT, "gone")
	j.wantCount(0, "delivered", bridge.MQTT, "")
	j.wantCount(0, "bounced", bridge.MQTT, "gone")
}

func bounceAnswer(j *kit) {
	r := direct(bridge.XMPP, "1001", "1002", "a")
	r.Reply, r.Receipt = bridge.ReplyTo{Sender: "reply-1"}, true
	j.take(r)
	j.settle(j.next(bridge.MQTT).Ref)
	receipt := j.next(bridge.XMPP)
	j.settle(receipt.Ref)
	j.Bounce(receipt.Ref, bridge.Refuse("gone", "the sender has left")) // so has the receipt's reader
	j.sync()
	j.wantNotice("1001", "sent")
	j.quiet()
	j.want(bridge.OutcomeDuplicate, again(r))
	j.wantNotice("1001", "sent")
}

func bounceUnknown(j *kit) {
	why := bridge.Refuse("gone", "moved away")
	n, _ := j.NewID()
	j.Bounce(bridge.Ref{Msg: n + 1}, why) // a stranger guesses the next number
	j.Bounce(bridge.Ref{Msg: 1 << 60}, why)
	j.sync()
	r := direct(bridge.MQTT, "1001", "1002", "a")
	j.take(r)
	j.settle(j.next(bridge.XMPP).Ref)
	j.wantNotice("1001", "sent")
	j.want(bridge.OutcomeDuplicate, again(r))
	j.wantNotice("1001", "sent")
	j.quiet()
}

func manyHands(j *kit) {
	const senders, each = 8, 15
	done := make(chan struct{}, senders)
	for s := range senders {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range each {
				r := direct(bridge.XMPP, fmt.Sprint("1", s), "1002", fmt.Sprint(i))
				if err := j.Append(j.Context(), []*bridge.Record{r}); err != nil || r.Outcome != bridge.OutcomeTaken {
					j.Errorf("append: %v, outcome %d", err, r.Outcome)
				}
				_ = j.Totals()
			}
		}()
	}
	last := map[string]uint64{}
	for range 2 * senders * each { // each message and its notice
		o := j.next(bridge.MQTT)
		if o.Kind.IsMessage() {
			if o.Ref.Msg <= last[o.From] {
				j.Errorf("from %s: %v after message %d", o.From, o.Ref, last[o.From])
			}
			last[o.From] = o.Ref.Msg
		}
		ticket := j.Bind(o.Ref, []byte("x"))
		if o.Ref.Msg%7 == 0 {
			if err := j.Wait(j.Context(), ticket); err != nil {
				j.Error(err)
			}
		}
		j.Settle(bridge.Result{Ref: o.Ref})
	}
	for range senders {
		<-done
	}
	j.quiet()
	j.wantCount(senders*each, "delivered", bridge.XMPP, "")
	j.wantBound()
}
