package journal

import (
	"context"
	"testing"
	"time"

	"chatrelay/bridge"
)

// together has operations taken in one commit.
func (b *testJournal) together(ops ...op) {
	b.t.Helper()
	b.mu.Lock()
	for _, o := range ops {
		b.put(o)
	}
	b.mu.Unlock()
	b.sync()
}

// A group message ends in one commit in which one of its copies is settled twice: the "delayed" that waits is taken back all the same.
func TestSettledTwiceInOneCommit(t *testing.T) {
	b := openTest(t, options("memory"))
	b.want(group("1001", "hello", "1002", "1003"), bridge.OutcomeTaken)
	one, two := b.next(bridge.MQTT).Ref, b.next(bridge.MQTT).Ref
	must(t, b.Delayed(t.Context(), -time.Minute))
	b.together(&settleOp{results: []bridge.Result{{Ref: one}, {Ref: one}, {Ref: two}}})
	b.wantNotice("1001", "hello|sent|")
	b.nothing(bridge.MQTT)
	b.sum()
}

// A message is requeued whose keys were forgotten, and in the same commit its sender tries again: that is the same message.
func TestRetryBesideItsRequeue(t *testing.T) {
	c := &steppable{clock: newClock()}
	o := options(t.TempDir())
	o.Clock, o.Elapsed, o.DedupWindow = c.Now, c.elapsed, time.Hour
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "hello"), bridge.OutcomeTaken)
	ref := b.next(bridge.MQTT).Ref
	b.bury(ref, bridge.Refuse("no", "nobody"))
	b.settle(b.next(bridge.MQTT).Ref) // the notice
	for i := range 9 {
		c.pass(20 * time.Minute)
		b.want(direct(bridge.XMPP, "1001", "1003", string(rune('a'+i))), bridge.OutcomeTaken)
		b.settle(b.next(bridge.MQTT).Ref)
		b.settle(b.next(bridge.MQTT).Ref)
	}
	retry := &appendOp{recs: []*bridge.Record{direct(bridge.XMPP, "1001", "1002", "hello")}, outcomes: make([]bridge.Outcome, 1), numbers: make([]uint64, 1), done: make(chan error, 1)}
	requeue := &changeDeadOp{j: b.Journal, refs: []bridge.Ref{ref}, do: (*decision).requeue, done: make(chan error, 1)}
	b.together(requeue, retry)
	if must(t, <-requeue.done); retry.outcomes[0] != bridge.OutcomeDuplicate {
		t.Errorf("outcome %d", retry.outcomes[0])
	}
	b.sum()
}

// A delivery whose bind failed is settled in the same commit in which a later one of its lane is bound: that one overtakes nobody.
func TestBindBehindASettledOne(t *testing.T) {
	b := openTest(t, options("memory"))
	b.append(direct(bridge.XMPP, "1001", "1002", "a"), direct(bridge.XMPP, "1001", "1002", "b"))
	first, second := b.next(bridge.MQTT).Ref, b.next(bridge.MQTT).Ref
	b.mu.Lock()
	d := b.deliveryOf(second)
	d.state = inflight
	b.ready[bridge.MQTT].bindFailed(b.deliveryOf(first))
	b.ticket++
	bind := &bindOp{l: d, data: []byte("1"), ticket: b.ticket}
	b.mu.Unlock()
	b.together(&settleOp{results: []bridge.Result{{Ref: first}}}, bind)
	must(t, b.Wait(t.Context(), bind.ticket))
	b.settle(second)
	b.sum()
}

// What is read for a delivery that is handed out is not written by the requeue of another one of its message.
func TestRequeueBesideNext(t *testing.T) {
	b := openTest(t, options("memory"))
	b.want(group("1001", "hello", "1002", "1003"), bridge.OutcomeTaken)
	dead := b.next(bridge.MQTT).Ref
	b.bury(dead, bridge.Refuse("no", "nobody"))
	ctx, end := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			o, err := b.Next(ctx, bridge.MQTT)
			if err != nil {
				return
			}
			b.Release(o.Ref)
		}
	}()
	for range 30 {
		must(t, b.Requeue(t.Context(), dead))
		b.bury(dead, bridge.Refuse("no", "nobody"))
	}
	end()
	<-done
}

// A retry is answered by what became of the first one, be that decided in the same commit.
func TestRetryBehindVerdict(t *testing.T) {
	gone := bridge.Refuse("gone", "no such user")
	for name, c := range map[string]struct {
		err  error                              // of the first one's delivery
		then func(ref bridge.Ref, no uint64) op // and in the retry's commit
		want []string                           // what its sender is told by then
	}{
		"bounced":     {nil, func(ref bridge.Ref, _ uint64) op { return &bounceOp{ref, gone} }, []string{"failed no such user", "failed no such user"}},
		"unconfirmed": {nil, func(_ bridge.Ref, no uint64) op { return &bounceUnconfirmedOp{bridge.MQTT, no, 0, gone} }, []string{"failed no such user", "failed no such user"}},
		"requeued":    {gone, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := openTest(t, options("memory"))
			b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
			ref := b.next(bridge.MQTT).Ref
			b.Settle(bridge.Result{Ref: ref, Err: c.err, Unproven: true})
			b.settle(b.next(bridge.MQTT).Ref) // its sender knows
			retry := &appendOp{recs: []*bridge.Record{direct(bridge.XMPP, "1001", "1002", "a")}, outcomes: make([]bridge.Outcome, 1), numbers: make([]uint64, 1), done: make(chan error, 1)}
			var first op
			if c.then != nil {
				first = c.then(ref, b.LastUnproven())
			} else {
				first = &changeDeadOp{j: b.Journal, refs: []bridge.Ref{ref}, do: (*decision).requeue, done: make(chan error, 1)}
			}
			b.together(first, retry)
			must(t, <-retry.done)
			for _, want := range c.want {
				n := b.next(bridge.MQTT)
				if b.settle(n.Ref); n.Note.Status+" "+n.Note.Text != want {
					t.Errorf("told %+v, want %s", n.Note, want)
				}
			}
			if c.want == nil && b.next(bridge.MQTT).Ref != ref {
				t.Error("it is not out again")
			}
			b.nothing(bridge.MQTT)
		})
	}
}
