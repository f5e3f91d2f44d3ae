package journal

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
)

// fillUp appends until the journal is full and gives the records it took. Nobody has more than his share of it.
func (b *testJournal) fillUp(size int) (taken []*bridge.Record) {
	b.t.Helper()
	text := strings.Repeat("x", size)
	for i := range 10_000 {
		r := direct(bridge.XMPP, fmt.Sprint("1", i%8), fmt.Sprint("2", i%8), fmt.Sprint(i, text))
		if b.append(r); r.Outcome == bridge.OutcomeFull {
			return taken
		} else if r.Outcome != bridge.OutcomeTaken {
			b.t.Fatalf("outcome %d", r.Outcome)
		}
		taken = append(taken, r)
	}
	b.t.Fatal("the journal never was full")
	return nil
}

func TestFullJournalDrains(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes = 512 << 10
	b := openTest(t, o)
	taken := b.fillUp(3000)
	if a := b.Totals(); !a.Full || a.Bytes > o.MaxBytes || a.Limit != o.MaxBytes {
		t.Fatalf("full %v at %d of %d", a.Full, a.Bytes, a.Limit)
	}
	before := b.counter(received, bridge.XMPP, "")
	small := direct(bridge.XMPP, "1001", "1002", "small")
	b.want(small, bridge.OutcomeFull) // nothing overtakes what was turned away
	if n := b.counter(received, bridge.XMPP, ""); n != before {
		t.Errorf("what was turned away was counted")
	}
	b.want(&bridge.Record{Origin: bridge.XMPP, Verdict: bridge.VerdictIgnore, Reason: "receipt"}, bridge.OutcomeIgnored)
	twin := *taken[0]
	b.want(&twin, bridge.OutcomeDuplicate)
	b.sum()

	full := true
	sent := 0
	for i := range 2 * len(taken) {
		x := b.next(bridge.MQTT)
		b.bind(x.Ref, "1")
		b.settle(x.Ref)
		if x.Note.Status == "sent" {
			sent++
		}
		if a := b.Totals(); full && !a.Full {
			full = false
			if a.Bytes > o.MaxBytes*80/100 {
				t.Fatalf("after %d closes it takes again, at %d of %d", i+1, a.Bytes, o.MaxBytes)
			}
		}
	}
	if full || sent != len(taken) {
		t.Errorf("drained, it is full: %v; %d notices for %d messages", full, sent, len(taken))
	}
	b.want(small, bridge.OutcomeTaken) // it had left no key
	b.sum()
	o.MaxBytes = 40 << 10
	if b = b.reopen(o); !b.Totals().Full {
		t.Error("a journal beyond its limit is not full after a start")
	}
}

// A flood of refusals and retries is answered from the reserve, which has an end.
func TestAnswersEnd(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes = 512 << 10
	b := openTest(t, o)
	text := []byte(strings.Repeat("x", 8000))
	for i := range 200 {
		r := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictReject, Reason: "retained", From: fmt.Sprint(i), Body: text}
		r.Deliveries = []bridge.Delivery{bridge.NoticeDelivery(r.From, bridge.Note{Status: "failed", Text: "retained", At: 1})}
		b.want(r, bridge.OutcomeRefused)
	}
	a := b.Totals()
	if a.Bytes > o.MaxBytes*5/4 {
		t.Errorf("%d bytes are used, the limit is %d", a.Bytes, o.MaxBytes)
	}
	if lost := a.Counts[bridge.Counter{Name: answerDead, Side: bridge.MQTT, Reason: "full"}]; lost == 0 {
		t.Error("no answer was counted as lost")
	}
	b.sum()
}

// What was delivered goes when its time for bounces is over, and the file is used again.
func TestFinishedRowsGo(t *testing.T) {
	o := options(t.TempDir())
	c := newClock()
	o.Clock, o.Notices = c.Now, bridge.Notices{}
	b := openTest(t, o)
	rows := func() (n int) {
		b.sync()
		b.ask(&n, "SELECT count(*) FROM messages")
		return n
	}
	for round := range 2 {
		var recs []*bridge.Record
		for i := range purgeLeast {
			recs = append(recs, direct(bridge.XMPP, "1001", "1002", fmt.Sprint(round, i)))
		}
		b.append(recs...)
		for range recs {
			b.Settle(bridge.Result{Ref: b.next(bridge.MQTT).Ref})
		}
		if n := rows(); n != purgeLeast {
			t.Fatalf("%d rows, want %d: they stay an hour", n, purgeLeast)
		}
		c.add(bounceFor * 1_000_001)
	}
	b.sync()
	if n := rows(); n > purgeLeast {
		t.Errorf("%d rows after their time", n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pic.Messages) > purgeLeast || len(b.lanes) > 0 || b.cachedBytes != 0 {
		t.Errorf("memory holds %d entries, %d lanes, %d bytes", len(b.pic.Messages), len(b.lanes), b.cachedBytes)
	}
}

// One message that is too large for the room that is left does not shut the journal for the small ones for long.
func TestTooLargeForTheRoom(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes = 256 << 10
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", strings.Repeat("x", 300<<10)), bridge.OutcomeFull)
	b.want(direct(bridge.XMPP, "1001", "1002", "small"), bridge.OutcomeTaken)
	b.sum()
}

// Where the wire brings again what there was no room for, it brings all that followed as well: nothing of it is
// counted or answered before. Other connections, and a wire that does not, lose nothing by it.
func TestNothingBehindAFullOne(t *testing.T) {
	o := options("memory")
	o.MaxBytes = 512 << 10
	b := openTest(t, o)
	b.want(direct(bridge.MQTT, "1001", "1002", "known"), bridge.OutcomeTaken)
	b.fillUp(3000)
	before := b.Totals()
	batch := func(redelivers bool) []*bridge.Record {
		bad := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictReject, Reason: "bad_json", From: "1001", Body: []byte("x"),
			Deliveries: []bridge.Delivery{{Side: bridge.MQTT, Kind: bridge.KindNotice, To: "1001", Lane: "n\x001001", Note: bridge.Note{Status: "failed"}}},
			State:      []bridge.StateRow{{Key: "in.7", Value: []byte("x")}}}
		odd := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictIgnore, Reason: "notice"}
		recs := []*bridge.Record{direct(bridge.MQTT, "1001", "1002", "no room"), bad, odd, direct(bridge.MQTT, "1001", "1002", "known")}
		for _, r := range recs {
			r.Gen, r.Redelivers = 3, redelivers
		}
		return recs
	}
	recs := batch(true)
	other := *recs[1]
	other.Gen = 4
	b.append(append(recs, &other)...)
	for i, r := range recs {
		if r.Outcome != bridge.OutcomeFull {
			t.Errorf("record %d of the connection: outcome %d, want full", i, r.Outcome)
		}
	}
	if other.Outcome != bridge.OutcomeRefused {
		t.Errorf("another connection's: outcome %d, want refused", other.Outcome)
	}
	after := b.Totals()
	if got := after.Counts[bridge.Counter{Name: received, Side: bridge.MQTT}] - before.Counts[bridge.Counter{Name: received, Side: bridge.MQTT}]; got != 1 {
		t.Errorf("%d were counted, want the other connection's", got)
	}
	recs = batch(false)
	b.append(recs...)
	for i, want := range []bridge.Outcome{bridge.OutcomeFull, bridge.OutcomeRefused, bridge.OutcomeIgnored, bridge.OutcomeDuplicate} {
		if recs[i].Outcome != want {
			t.Errorf("record %d of a wire that brings nothing again: outcome %d, want %d", i, recs[i].Outcome, want)
		}
	}
	b.sum()
}
