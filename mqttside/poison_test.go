package mqttside

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/mqttside/session"
	"chatrelay/test/servers"
)

// TestPoison: the broker closes the connection over a message, as it has become too long for it. That one alone is
// dead, and the next as long is refused at once.
func TestPoison(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{Persistence: true, Extra: "max_packet_size 1000000"})
	l := start(t, r.m, r.cfg)
	l.up(t) // so the longest message it takes is known, and does not hold any more
	// Nor does it tell: it does not know MQTT 5.
	l.brokers.mu.Lock()
	at := l.brokers.of(r.link.Addr())
	at.limits, at.silent5, at.asked5 = session.Limits{}, muteLimit, time.Now()
	l.brokers.mu.Unlock()
	err := r.broker.Stop()
	if err == nil {
		err = r.broker.SetOption("max_packet_size", 4000)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.down(t, "")
	var good []bridge.Ref
	for n := range 3 {
		good = append(good, r.add(n))
	}
	poison := r.m.Add(bridge.KindInbox, "1001", "2001", body(strings.Repeat("x", 5000), 3))
	for n := 4; n < 7; n++ {
		good = append(good, r.add(n))
	}
	err = r.broker.Start()
	if err == nil {
		err = r.p.back()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.m.Until(t, "closed", bridgetest.AllClosed)
	if state, err := r.m.Delivery(poison); state != bridgetest.Settled || err == nil || !strings.Contains(err.Error(), "poison") {
		t.Errorf("the poison is %v (%v), want it closed as poison", state, err)
	}
	for _, ref := range good {
		if state, err := r.m.Delivery(ref); state != bridgetest.Settled || err != nil {
			t.Errorf("%v is %v (%v)", ref, state, err)
		}
	}
	next := r.m.Add(bridge.KindInbox, "1001", "2001", body(strings.Repeat("x", 5000), 7))
	r.m.Until(t, "the next is closed", bridgetest.AllClosed)
	if _, err := r.m.Delivery(next); err == nil || !strings.Contains(err.Error(), "too_large") {
		t.Errorf("the next as long: %v, want it refused for its length", err)
	}
	got := r.p.hears(t, len(good))
	for i, n := range []int{0, 1, 2, 4, 5, 6} {
		if !strings.Contains(got[i], body("x", n)) {
			t.Errorf("heard %d: %s", i, got[i])
		}
	}
}

// TestOtherwise: by MQTT 5 a broker that is busy, or goes away, says so. No message is to blame for that.
func TestOtherwise(t *testing.T) {
	for code, want := range map[byte]bool{
		session.CodeBusy: true, session.CodeShutdown: true, session.CodeTakenOver: true, session.CodeRateTooHigh: true, session.CodeQuota: true, session.CodeIDInUse: true,
		session.CodePacketTooLarge: false, session.CodeNotAuthorized: false, session.CodeBadTopic: false, session.CodeUnspecified: false, 0: false,
	} {
		if got := otherwise(fmt.Errorf("read: %w", session.Ended{Code: code})); got != want {
			t.Errorf("%#x: %v", code, got)
		}
	}
	if otherwise(io.EOF) || otherwise(nil) {
		t.Error("it has not said anything")
	}
}
