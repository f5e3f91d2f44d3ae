package mqttside

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// TestReplacedIDs is a broker that puts the user name in the place of the client id: whatever logs in beside the relay
// gets its session, and would wipe it with what waits there. Ten starts, five checks, and a relay that is thrown out.
func TestReplacedIDs(t *testing.T) {
	for _, version := range []byte{3, 5} {
		t.Run(fmt.Sprint("MQTT ", version), func(t *testing.T) { replacedIDs(t, version) })
	}
}

func replacedIDs(t *testing.T, version byte) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{
		Users:              map[string]string{"chatrelay": "relay", "person": "person"},
		UsernameAsClientID: true,
	})
	log := &testLog{tb: t}
	cfg := testConfig(t, broker.URL)
	cfg.Version, cfg.Username, cfg.Password, cfg.Log = version, "chatrelay", Fixed("relay"), cfg.Log.Output(log)
	m := bridgetest.NewMemory(t)
	p := newPerson(t, broker.URL, "person", "/chat/2001")
	l := start(t, m, cfg)
	l.up(t)
	const rounds, each = 10, 50
	for round := range rounds {
		l.stop()
		for i := range each {
			p.says(t, "/chat/1001", body("y", round*each+i))
		}
		if round%4 == 0 {
			checkReplaced(t, cfg)
		}
		l = start(t, m, cfg)
		if round%4 == 2 { // beside the running relay
			l.up(t)
			checkReplaced(t, cfg)
		}
		m.Until(t, fmt.Sprint("taken in round ", round), takenN((round+1)*each))
		l.up(t)
	}
	m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
	m.Until(t, "sent", bridgetest.AllClosed)
	var in []string // with the bridge bit no second login could hear probes: our own publishes come back
	for _, b := range bodies(m) {
		if !strings.HasSuffix(b, body("x", 0)) {
			in = append(in, b)
		}
	}
	tally(t, "in", 1, rounds*each, in)
	tally(t, "out", 1, 1, p.hears(t, 1))
	if !log.has("the broker replaces client ids") {
		t.Error("not said")
	}
	if n, roomy := l.brokers.window(strings.TrimPrefix(broker.URL, "tcp://"), 100); n != defaultWindow || roomy {
		t.Errorf("window %d: the limit cannot be known", n)
	}
	if _, err := l.sideLogin(t.Context(), l.urls[0]); err != errReplaced {
		t.Errorf("a side login gives %v", err)
	}
}

func checkReplaced(t *testing.T, cfg Config) {
	t.Helper()
	logged := false
	for _, s := range Check(t.Context(), cfg) {
		if s.Fatal && !s.OK || strings.Contains(s.Name, "rights") {
			t.Errorf("step %+v", s)
		}
		logged = logged || !s.OK && strings.Contains(s.Text(), "use_username_as_clientid")
	}
	if !logged {
		t.Error("Check does not say it")
	}
}

// TestSideLoginLeavesNothing: after side logins of every kind the broker has no session but the relay's, and while it
// runs that of the login that hears its probes.
func TestSideLoginLeavesNothing(t *testing.T) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{Extra: "sys_interval 1"})
	cfg := testConfig(t, broker.URL)
	l := start(t, bridgetest.NewMemory(t), cfg)
	l.up(t)
	for _, s := range Check(t.Context(), cfg) {
		if !s.OK {
			t.Errorf("%+v", s)
		}
	}
	side, err := l.sideLogin(t.Context(), l.urls[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := side.subscribe("/chat/+"); err != nil {
		t.Error(err)
	}
	side.end()
	watch := newPerson(t, broker.URL, "watch", "$SYS/broker/clients/total")
	total := func(want string) func() bool {
		return func() bool {
			got := watch.all()
			return len(got) > 0 && got[len(got)-1] == "$SYS/broker/clients/total "+want
		}
	}
	l.eventually(t, "the relay, its listener and the watcher alone", total("3"))
	l.stop()
	l.eventually(t, "the relay's session and the watcher alone", total("2"))
}
