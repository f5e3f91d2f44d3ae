package journal

import (
	"fmt"
	"testing"

	"chatrelay/bridge"
)

// takes hands out n deliveries and gives them back as "sender>destination".
func (b *testJournal) takes(side bridge.SideID, n int) (got []string) {
	b.t.Helper()
	for range n {
		o := b.next(side)
		from := o.From
		if !o.Kind.IsMessage() {
			from = "relay"
		}
		got = append(got, from+">"+o.To)
	}
	return got
}

func members(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("3", i))
	}
	return names
}

// One message to ten thousand inboxes holds up nobody else's.
func TestSendersTakeTurns(t *testing.T) {
	b := openTest(t, options("memory"))
	b.append(group("1001", "to all", members(10_000)...))
	b.takes(bridge.MQTT, 10)
	b.append(direct(bridge.XMPP, "1002", "1003", "one"), direct(bridge.XMPP, "1002", "1004", "two"), direct(bridge.XMPP, "1005", "1003", "three"))
	got := map[string]int{}
	for _, way := range b.takes(bridge.MQTT, 6) {
		if way[:4] == "1001" {
			way = "1001"
		}
		got[way]++
	}
	if got["1002>1003"] != 1 || got["1002>1004"] != 1 || got["1005>1003"] != 1 || got["1001"] != 3 {
		t.Errorf("six turns went to %v", got)
	}
}

// Within one sender the destinations take turns, and each keeps its order.
func TestDestinationsTakeTurns(t *testing.T) {
	b := openTest(t, options("memory"))
	for i := range 3 {
		b.append(direct(bridge.XMPP, "1001", "1002", fmt.Sprint("a", i)))
	}
	b.append(direct(bridge.XMPP, "1001", "1003", "b0"), direct(bridge.XMPP, "1001", "1003", "b1"))
	for i, want := range []string{"a0", "b0", "a1", "b1", "a2"} {
		if o := b.next(bridge.MQTT); string(o.Body) != want {
			t.Errorf("turn %d went to %s, want %s", i, o.Body, want)
		}
	}
	b.nothing(bridge.MQTT)
}

// What the relay tells one sender holds up neither messages nor what it tells another.
func TestAnswersTakeTurns(t *testing.T) {
	b := openTest(t, options("memory"))
	for i := range 500 {
		r := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictReject, Reason: "retained", From: "1001", Body: fmt.Append(nil, i)}
		r.Deliveries = []bridge.Delivery{bridge.NoticeDelivery(r.From, bridge.Note{Status: "failed", Text: "retained", At: 1})}
		b.append(r)
	}
	b.takes(bridge.MQTT, 3)
	r := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictReject, Reason: "retained", From: "1002", Body: []byte("x")}
	r.Deliveries = []bridge.Delivery{bridge.NoticeDelivery(r.From, bridge.Note{Status: "failed", Text: "retained", At: 1})}
	b.append(r, direct(bridge.XMPP, "1003", "1004", "a"))
	got := map[string]int{}
	for _, way := range b.takes(bridge.MQTT, 3) {
		got[way]++
	}
	if got["relay>1001"] != 1 || got["relay>1002"] != 1 || got["1003>1004"] != 1 {
		t.Errorf("three turns went to %v", got)
	}
}

// Lanes that back off, are emptied by hand or come back after a restart keep their sender's one place.
func TestTurnsAfterARestart(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	b.append(group("1001", "to all", members(100)...), direct(bridge.XMPP, "1002", "1003", "one"))
	first := b.next(bridge.MQTT)
	second := b.next(bridge.MQTT)
	b.settle(first.Ref)
	b.Release(second.Ref)
	b = b.reopen(o)
	got := map[string]int{}
	for _, way := range b.takes(bridge.MQTT, 2) {
		got[way[:4]]++
	}
	if got["1001"] != 1 || got["1002"] != 1 {
		t.Errorf("two turns went to %v", got)
	}
	b.takes(bridge.MQTT, 98)
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.ready[bridge.MQTT]; len(c.of) > 1 || c.senders.Len() != len(c.of) { // 1001's notice is not due
		t.Errorf("%d senders, %d of them in turn, when all is handed out", len(c.of), c.senders.Len())
	}
}
