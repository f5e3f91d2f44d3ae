package bridgetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"
)

func laneOrder(j *kit) {
	for i := range 5 {
		j.take(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)))
	}
	var last uint64
	for i := range 5 {
		o := j.wantMessages(bridge.MQTT, "1002", string(bodyOf("1001", fmt.Sprint(i))))
		if o.From != "1001" || o.Kind != bridge.KindInbox || o.Ref.Msg <= last {
			j.Errorf("got %+v after message %d", o, last)
		}
		last = o.Ref.Msg
	}
	j.quiet()
}

// lanesInTurn: senders take turns, and within one sender its destinations.
func lanesInTurn(j *kit) {
	for i := range 3 {
		j.take(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)))
	}
	j.take(direct(bridge.XMPP, "1003", "1002", "x"), direct(bridge.XMPP, "1003", "1004", "y"))
	for i, want := range []string{"1001>1002", "1003>1002", "1001>1002", "1003>1004", "1001>1002"} {
		if o := j.next(bridge.MQTT); o.From+">"+o.To != want {
			j.Errorf("turn %d went to %s>%s, want %s", i, o.From, o.To, want)
		}
	}
	j.quiet()
}

func nextWaits(j *kit) {
	got := make(chan bridge.Outbound, 1)
	go func() { // ends with the delivery, or the test
		if o, err := j.Next(j.Context(), bridge.XMPP); err == nil {
			got <- o
		}
	}()
	j.take(direct(bridge.XMPP, "1003", "1004", "for the other side"))
	j.take(direct(bridge.MQTT, "1001", "1002", "a"))
	select {
	case o := <-got:
		if o.To != "1002" {
			j.Errorf("got %+v", o)
		}
	case <-time.After(waitLimit):
		j.Fatal("Next did not wake")
	}
}

func nextEnds(j *kit) {
	ctx, cancel := context.WithCancel(j.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := j.Next(ctx, bridge.MQTT)
		ended <- err
	}()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			j.Errorf("got %v, want the context's error", err)
		}
	case <-time.After(waitLimit):
		j.Fatal("Next did not end")
	}
	j.take(direct(bridge.XMPP, "1001", "1002", "a"))
	if _, err := j.Next(ctx, bridge.MQTT); !errors.Is(err, context.Canceled) {
		j.Errorf("got %v, want the context's error", err)
	}
	j.next(bridge.MQTT) // it is not lost
}

// three are handed out of one lane, and one waits.
func (j *kit) three() (refs []bridge.Ref) {
	j.Helper()
	for i := range 4 {
		j.take(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)))
	}
	for range 3 {
		refs = append(refs, j.next(bridge.MQTT).Ref)
	}
	return refs
}

func (j *kit) wantRefs(want ...bridge.Ref) {
	j.Helper()
	for _, ref := range want {
		if o := j.next(bridge.MQTT); o.Ref != ref {
			j.Fatalf("next is %v, want %v", o.Ref, ref)
		}
	}
}

func release(j *kit) {
	r := j.three()
	j.Release(r[2])
	j.Release(r[0])
	j.Release(r[0]) // it has it already
	j.wantRefs(r[0], r[2])
	j.Release(r[1])
	j.wantRefs(r[1])
	j.wantMessages(bridge.MQTT, "1002", string(bodyOf("1001", "3")))
	j.bind(r[0], "held")
	j.Release(r[0]) // not any more
	j.quiet()
	j.settle(r[1])
	j.wantNotice("1001", "sent")
	j.Release(r[1])
	j.quiet()
}

func deferHolds(j *kit) {
	r := j.three()
	if n, _ := j.Attempts(r[0]); n != 0 {
		j.Errorf("attempts %d before the first", n)
	}
	j.Defer(r[1], time.Hour, "busy")
	j.take(direct(bridge.XMPP, "1001", "1003", "another lane"))
	j.wantMessages(bridge.MQTT, "1003", "")
	j.nothing(bridge.MQTT) // the fourth of the lane waits too
	if n, _ := j.Attempts(r[1]); n != 1 {
		j.Errorf("%d attempts, want 1", n)
	}
	if n, since := j.Attempts(bridge.Ref{Msg: 1 << 60}); n != 0 || since != 0 {
		j.Errorf("an unknown delivery has %d attempts since %v", n, since)
	}
	j.settle(r[0], r[1], r[2])
	for range 3 {
		j.wantNotice("1001", "sent")
	}
}

func deferEnds(j *kit) {
	r := j.three()
	j.Defer(r[0], -time.Second, "in the past")
	j.wantRefs(r[0])
	j.Defer(r[0], 30*time.Millisecond, "a moment")
	j.Release(r[1])
	j.wantRefs(r[0], r[1]) // waits by itself, and the first is first
	if n, since := j.Attempts(r[0]); n != 2 || since < 30*time.Millisecond || since > time.Hour {
		j.Errorf("%d attempts in %v, want 2", n, since)
	}
}

// What could not even be tried, because it was not known whether it may leave, is not given up for having waited.
func holdCountsNoAttempt(j *kit) {
	r := j.three()
	j.Hold(r[0], 5*time.Millisecond, "who knows")
	j.Release(r[1])
	j.wantRefs(r[0], r[1]) // waits by itself, and the first is first
	if n, since := j.Attempts(r[0]); n != 0 || since > time.Hour {
		j.Errorf("%d attempts in %v, want none", n, since)
	}
	j.Defer(r[0], 30*time.Millisecond, "busy")
	j.wantRefs(r[0])
	j.Hold(r[0], 5*time.Millisecond, "who knows")
	j.wantRefs(r[0])
	if n, since := j.Attempts(r[0]); n != 0 || since >= 30*time.Millisecond {
		j.Errorf("%d attempts in %v after it was held, want none", n, since)
	}
}

func (j *kit) delay() {
	j.Helper()
	if err := j.Delayed(j.Context(), 0); err != nil {
		j.Fatal(err)
	}
}

func delayed(j *kit) {
	j.take(direct(bridge.MQTT, "1001", "1002", "a"), direct(bridge.MQTT, "1003", "1004", "b"))
	j.settle(j.wantMessages(bridge.XMPP, "1002", "").Ref)
	j.wantNotice("1001", "sent")
	if err := j.Delayed(j.Context(), time.Minute); err != nil {
		j.Fatal(err)
	}
	j.nothing(bridge.MQTT)
	j.delay()
	j.wantNotice("1003", "delayed")
	j.delay()
	j.nothing(bridge.MQTT)
	j.settle(j.wantMessages(bridge.XMPP, "1004", "").Ref)
	j.wantNotice("1003", "sent")
	j.quiet()
}

func delayedCancelled(j *kit) {
	j.take(direct(bridge.MQTT, "1001", "1002", "a"), direct(bridge.MQTT, "1003", "1002", "b"))
	j.delay()
	out := j.next(bridge.MQTT) // the first one's is in a dispatcher's hand
	j.settle(j.next(bridge.XMPP).Ref, j.next(bridge.XMPP).Ref)
	sent := map[string]string{}
	for range 2 {
		o := j.next(bridge.MQTT)
		sent[o.To] += o.Note.Status
		j.settle(o.Ref)
	}
	if out.Note.Status != "delayed" || sent["1001"] != "sent" || sent["1003"] != "sent" {
		j.Errorf("%+v went out, then %v", out.Note, sent)
	}
	j.settle(out.Ref)
	j.quiet()
}
