package journal

import (
	"fmt"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// failAll has n messages of one sender fail, which came by stanza; they are numbered from first on.
func (b *testJournal) failAll(sender string, first, n int) {
	b.t.Helper()
	recs := make([]*bridge.Record, n)
	for i := range recs {
		recs[i] = direct(bridge.XMPP, "1001", "1002", fmt.Sprint(sender, " ", first+i))
		recs[i].Reply = bridge.ReplyTo{Sender: sender, Handle: fmt.Sprint(sender, "/x\x00id-", first+i)}
	}
	b.append(recs...)
	for range recs {
		o := b.next(bridge.MQTT)
		for !o.Kind.IsMessage() {
			b.settle(o.Ref)
			o = b.next(bridge.MQTT)
		}
		b.Settle(bridge.Result{Ref: o.Ref, Err: bridge.Refuse("no", "no")})
	}
	b.sync()
}

// handOut takes what there is for XMPP now, and settles it.
func (b *testJournal) handOut() (replies []string) {
	b.t.Helper()
	for {
		b.mu.Lock()
		d, _ := b.Journal.next(b.ready[bridge.XMPP])
		b.mu.Unlock()
		if d == nil {
			return replies
		}
		replies = append(replies, d.Note.Reply.Stored())
		b.settle(d.Ref())
	}
}

// A sender is told of ten failures a second, and of all of them in the end, in order; meanwhile others are served.
func TestFailuresArePaced(t *testing.T) {
	o := options(t.TempDir())
	c := newClock()
	o.Clock = c.Now
	b := openTest(t, o)
	b.failAll("one", 0, 25)
	b.failAll("two", 0, 1)
	var got []string
	got = append(got, b.handOut()...)
	if len(got) != 2 {
		t.Fatalf("at once %q: want one for each sender", got)
	}
	b.want(direct(bridge.MQTT, "1003", "1004", "messages goes on"), bridge.OutcomeTaken)
	if o := b.next(bridge.XMPP); !o.Kind.IsMessage() {
		t.Fatalf("got %+v, want the message", o)
	} else {
		b.settle(o.Ref)
	}
	mine := got[:1]
	for range 10 { // no pause is skipped because the lane had become empty meanwhile, or was made anew
		c.add(50 * time.Millisecond)
		mine = append(mine, b.handOut()...)
	}
	if len(mine) != 6 {
		t.Fatalf("%d in half a second, want 6", len(mine))
	}
	b = b.reopen(o) // what waits is a delivery like any other
	for range 30 {
		mine = append(mine, b.handOut()...)
		c.add(100 * time.Millisecond)
	}
	for i, reply := range mine {
		if want := fmt.Sprint("one\x00one/x\x00id-", i); reply != want {
			t.Fatalf("answer %d goes to %q, want %q", i, reply, want)
		}
	}
	if len(mine) != 25 {
		t.Errorf("%d were told, want 25", len(mine))
	}
}

// Failures that come one by one keep the pace too, and the lane goes when nobody needs it any more.
func TestLoneFailuresArePaced(t *testing.T) {
	o := options("memory")
	c := newClock()
	o.Clock = c.Now
	b := openTest(t, o)
	answered := 0
	for i := range 20 {
		b.failAll("one", i, 1)
		answered += len(b.handOut())
		c.add(10 * time.Millisecond)
	}
	if answered != 2 {
		t.Errorf("%d in 0.2 s, want 2", answered)
	}
	for range 20 {
		c.add(100 * time.Millisecond)
		answered += len(b.handOut())
	}
	b.checkLanes()
	if key := (laneKey{bridge.XMPP, picture.FailureLaneOf(bridge.ReplyTo{Sender: "one"})}); answered != 20 || b.lanes[key] != nil || len(b.ready[bridge.XMPP].backingOff) > 0 {
		t.Errorf("%d were told, want 20; the lane is %v", answered, b.lanes[key])
	}
}

// Next sleeps until the next answer's time.
func TestPaceDoesNotSpin(t *testing.T) {
	b := openTest(t, options("memory"))
	b.failAll("one", 0, 4)
	began := time.Now()
	for range 4 {
		b.settle(b.next(bridge.XMPP).Ref)
	}
	if took := time.Since(began); took < 290*time.Millisecond {
		t.Errorf("four answers took %v, want 0.3 s", took)
	}
}

// What the journal itself refuses is told where there is no verdict to say it; a requeue does not tell it again; and
// of many retries of what failed few are answered.
func TestFailureIsReportedOnce(t *testing.T) {
	b := openTest(t, options("memory"))
	r := direct(bridge.XMPP, "1001", "1002", "nobody to bring it to")
	r.Deliveries, r.Reply = nil, bridge.ParseReplyTo("one\x00one/x\x00r0")
	b.want(r, bridge.OutcomeRefused)
	if o := b.next(bridge.XMPP); o.Kind != bridge.KindError || o.Note.Reason != "bad_legs" || o.Note.Reply != r.Reply {
		t.Errorf("got %+v", o)
	} else {
		b.settle(o.Ref)
	}
	r = direct(bridge.XMPP, "1001", "1002", "dies twice")
	r.Reply = bridge.ParseReplyTo("two\x00two/x\x00r1")
	b.want(r, bridge.OutcomeTaken)
	for range 2 {
		ref := b.next(bridge.MQTT).Ref
		b.bury(ref, bridge.Refuse("no", "nobody"))
		b.wantNotice("1001", "dies twice|failed|nobody")
		must(t, b.Requeue(t.Context(), ref))
	}
	if got := b.handOut(); len(got) != 1 || got[0] != r.Reply.Stored() {
		t.Errorf("told at %q, want once", got)
	}
	b.bury(b.next(bridge.MQTT).Ref, bridge.Refuse("no", "nobody"))
	for range 100 {
		c := *r
		b.want(&c, bridge.OutcomeDuplicate)
	}
	waits := 0
	for _, n := range b.lanes {
		if n.pace > 0 {
			waits += n.refs
		}
	}
	if waits < 1 || waits > retriesWaiting {
		t.Errorf("%d answers wait for 100 retries, want at most %d", waits, retriesWaiting)
	}
	b.sum()
}
