package xmppside

import (
	"errors"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

const (
	floodSize = 10_000
	floodStep = 50
	floodRate = 5_000           // a second: more than that waits in ejabberd's own queues, and holds up what we send there
	floodWait = 2 * time.Second // a message takes some 10 ms without a flood
)

// One session that asks as fast as it can does not hold up what goes to others, and is not answered as fast.
func TestPingFlood(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true, SMQueue: 1_000_000}, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		l := start(t, m, testConfig(x)).up(t)
		alice, mallory := newPerson(t, x, "1001"), newPerson(t, x, "1002")
		// Answers to this are errors, which a person counts; one to a ping costs the same.
		flood := strings.Repeat("<iq type='get' id='q' to='"+l.cfg.JID+"/chatrelay'><ask xmlns='urn:example'/></iq>", floodStep)
		done := make(chan error, 1)
		go func() { // ends with the flood
			var err error
			for n := 0; n < floodSize && err == nil; n += floodStep {
				err = mallory.Raw(flood)
				time.Sleep(floodStep * time.Second / floodRate)
			}
			done <- errors.Join(err, mallory.Raw("<message to='"+l.cfg.JID+"' type='chat'><body>its end</body></message>"))
		}()
		began := time.Now()
		var worst time.Duration
		most, n := 0, 0
		for len(m.Taken()) == 0 {
			n++
			sent := time.Now()
			m.Add(bridge.KindChat, "2001", "1001", "x")
			alice.must(t, n, chats)
			worst = max(worst, time.Since(sent))
			most = max(most, l.st.Unacked())
			time.Sleep(20 * time.Millisecond)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		lasted := time.Since(began)
		mallory.mu.Lock()
		answers := len(mallory.got)
		mallory.mu.Unlock()
		t.Logf("%v of flood: %d answers; of %d messages the worst took %v; at most %d stanzas of ours were unacknowledged", lasted, answers, n, worst, most)
		if worst > floodWait {
			t.Errorf("a message took %v", worst)
		}
		if limit := 10*int(lasted/time.Second+2) + 1; answers > limit {
			t.Errorf("%d answers, want %d at most", answers, limit)
		}
		if limit := 100; most > limit {
			t.Errorf("%d stanzas of ours were unacknowledged, want %d at most", most, limit)
		}
	})
}
