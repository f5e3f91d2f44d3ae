package mqttside

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/mqttside/session"
	"chatrelay/test/servers"
)

// seen is what the other side was told of devices.
type seen struct {
	mu  sync.Mutex
	is  map[string]bridge.Presence
	all int
}

func (s *seen) take(landline string, p bridge.Presence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is == nil {
		s.is = map[string]bridge.Presence{}
	}
	s.is[landline] = p
	s.all++
}

func (s *seen) are(want map[string]bridge.Presence) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Equal(s.is, want)
}

// What devices say of themselves is passed on, what is retained too and anew at each login; it is no message. Who does not ask any more
// gets none of it.
func TestDevices(t *testing.T) { atLevels(t, devicesSay) }

func devicesSay(t *testing.T, version byte) {
	r := newRig(t, servers.MosquittoConfig{})
	log := &testLog{tb: t}
	r.cfg.Version, r.cfg.Log = version, r.cfg.Log.Output(log)
	var s seen
	r.cfg.Presence, r.cfg.Present = "/chat/+/status", s.take
	finish(t, r.p.Publish("/chat/1001/status", 1, true, "online"))
	finish(t, r.p.Publish("/chat/1002/status", 1, true, `{"status":"away","battery":7}`))
	l := start(t, r.m, r.cfg)
	l.up(t)
	l.eventually(t, "what is retained", func() bool {
		return s.are(map[string]bridge.Presence{"1001": bridge.PresenceOnline, "1002": bridge.PresenceAway})
	})
	finish(t, r.p.Publish("/chat/1001/status", 2, true, "offline"))
	finish(t, r.p.Publish("/chat/1002/status", 0, true, ""))
	finish(t, r.p.Publish("/chat/1003/status", 0, false, "Online"))
	for i := range 5 { // none of it is told
		finish(t, r.p.Publish([]string{"/chat/receiver/status", "/chat/1004/status", "/chat/1004/status", "/chat/1005/x/status", "/chat/a b/status"}[i], 0, false,
			[]string{"online", "hello", strings.Repeat("online ", mostStatus), "online", "online"}[i]))
	}
	want := map[string]bridge.Presence{"1001": bridge.PresenceOffline, "1002": bridge.PresenceUnknown, "1003": bridge.PresenceOnline}
	l.eventually(t, "the changes", func() bool { return s.are(want) })
	r.link.Cut()
	finish(t, r.p.Publish("/chat/1001/status", 1, true, "online"))
	want["1001"] = bridge.PresenceOnline
	l.eventually(t, "what was said meanwhile", func() bool { return s.are(want) })

	r.p.says(t, "/chat/1001", body("y", 0)) // messages go on
	r.m.Until(t, "taken", takenN(1))
	if n := len(r.m.Taken()); n != 1 {
		t.Errorf("%d offers: what devices say of themselves is counted as messages", n)
	}
	if n := strings.Count(log.text.String(), "says of no landline"); n != 1 {
		t.Errorf("what cannot be read is logged %d times", n)
	}
	l.stop()

	r.cfg.Presence = ""
	before := s.all
	l = start(t, r.m, r.cfg)
	l.up(t)
	l.eventually(t, "unsubscribed", func() bool { l.devices.mu.Lock(); defer l.devices.mu.Unlock(); return l.devices.have == "" })
	finish(t, r.p.Publish("/chat/1001/status", 1, true, "away"))
	r.p.says(t, "/chat/1001", body("y", 1))
	r.m.Until(t, "taken", takenN(2))
	if n := len(r.m.Taken()); n != 2 || s.all != before {
		t.Errorf("%d offers, %d told", n, s.all-before)
	}
}

// A broker that does not let the relay see statuses, or ends the connection over it, keeps no message from its way.
func TestDevicesDenied(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		r := newRights(t, servers.MosquittoConfig{ACL: "user chatrelay\ntopic readwrite /chat/+\ntopic readwrite chatrelay/#\n\nuser person\ntopic readwrite #"})
		r.cfg.Version = 5
		r.cfg.Presence, r.cfg.Present = "/chat/+/status", func(string, bridge.Presence) { t.Error("told") }
		l := start(t, r.m, r.cfg)
		l.up(t)
		r.p.says(t, "/chat/1001", body("y", 0))
		r.m.Until(t, "taken", takenN(1))
	})
	t.Run("hung up", func(t *testing.T) {
		t.Parallel()
		f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
			s, ok := p.(*packets.SubscribePacket)
			if ok && s.Topics[0] == "/chat/+/status" {
				return nil, true
			}
			return polite(p), false
		})
		log := &testLog{tb: t}
		cfg := testConfig(t, f.url())
		cfg.Log, cfg.Presence, cfg.Present = cfg.Log.Output(log), "/chat/+/status", func(string, bridge.Presence) { t.Error("told") }
		l := start(t, bridgetest.NewMemory(t), cfg)
		l.eventually(t, "it is not asked for any more", func() bool { return log.has("not tried again within the hour") })
		l.eventually(t, "up, and stays so", func() bool {
			l.devices.mu.Lock()
			defer l.devices.mu.Unlock()
			up, _ := l.Up()
			return up && l.devices.hangUps == mostHangUps && time.Since(l.devices.asked) > 2*time.Second
		})
	})
}

func TestStatusOf(t *testing.T) {
	const none = bridge.Presence(99)
	for text, want := range map[string]bridge.Presence{
		"online": bridge.PresenceOnline, " ONLINE\n": bridge.PresenceOnline, `"online"`: bridge.PresenceOnline, "1": bridge.PresenceOnline, `{"status":"online"}`: bridge.PresenceOnline,
		`{"state":"ready"}`: bridge.PresenceOnline, "away": bridge.PresenceAway, `{"status":"idle","since":4}`: bridge.PresenceAway,
		"offline": bridge.PresenceOffline, "lost": bridge.PresenceOffline, `{"status":"offline"}`: bridge.PresenceOffline, "": bridge.PresenceUnknown, " ": bridge.PresenceUnknown,
		"{": none, "{}": none, `{"status":1}`: none, `{"status":null}`: none, `["online"]`: none, "on line": none, "\x00": none, "\xff": none, "null": none,
		strings.Repeat("[", 900): none, "online" + strings.Repeat(" ", mostStatus): none,
	} {
		got, ok := statusOf([]byte(text))
		if want == none && ok || want != none && (got != want || !ok) {
			t.Errorf("%.40q: %d, %v", text, got, ok)
		}
	}
	for topic, want := range map[string]string{
		"/chat/1001/status": "1001", "/chat/status": "", "/chat//status": "", "/chat/a/b/status": "", "/chat/1001": "", "x/chat/1001/status": "", "/chat/1001/status/": "", "/chat/1001/statu": "",
	} {
		if got, ok := levelOf("/chat/+/status", topic); got != want || ok != (want != "" || topic == "/chat//status") {
			t.Errorf("%s: %q, %v", topic, got, ok)
		}
	}
	if level, ok := levelOf("+/status", "1001/status"); !ok || level != "1001" {
		t.Error("a filter that begins with +")
	}
	if _, ok := levelOf("", ""); ok {
		t.Error("no filter")
	}
}

// Made-up devices take no memory without end, and what was taken back while nobody listened is forgotten.
func TestDevicesAreBounded(t *testing.T) {
	t.Parallel()
	told := map[string]bridge.Presence{}
	cfg := valid()
	cfg.Presence, cfg.Present = "/chat/+/status", func(l string, p bridge.Presence) { told[l] = p }
	s, err := New(cfg, bridgetest.NewMemory(t).SideJournal())
	if err != nil {
		t.Fatal(err)
	}
	say := func(landline any, retained bool) {
		if !s.devices.hears(&session.Publish{Topic: fmt.Sprintf("/chat/%v/status", landline), Payload: []byte("online"), Retain: retained}) {
			t.Fatal("not taken")
		}
	}
	s.devices.begin(time.Now())
	for i := range mostDevices + 10 {
		say(i, true)
	}
	if len(told) != mostDevices || len(s.devices.heard) != mostDevices {
		t.Errorf("%d are told, %d remembered", len(told), len(s.devices.heard))
	}
	s.devices.begin(time.Now())
	for i := range mostDevices {
		if i != 7 {
			say(i, false)
		}
	}
	s.devices.sweep()
	if told["7"] != bridge.PresenceOnline {
		t.Error("a broker that repeats nothing takes nothing back")
	}
	say(1, true)
	s.devices.sweep()
	if told["7"] != bridge.PresenceUnknown || told["8"] != bridge.PresenceOnline || len(s.devices.heard) != mostDevices-1 {
		t.Errorf("%d of 7, %d of 8", told["7"], told["8"])
	}
}
