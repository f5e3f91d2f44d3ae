package mqttside

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
)

func sound() Config {
	return Config{URLs: []string{"tcp://localhost"}, ClientID: "c", QoS: 2, Prefix: "/chat", Log: zerolog.Nop(),
		Landline: func(string) bool { return true }, Own: "receiver"}
}

func TestConfigProblems(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // empty: sound
	}{
		{"sound", func(*Config) {}, ""},
		{"every scheme", func(c *Config) {
			c.URLs = []string{"tcp://a", "mqtt://a:1", "ssl://a", "tls://a", "mqtts://a", "ws://a/x", "wss://a"}
		}, ""},
		{"no URL", func(c *Config) { c.URLs = nil }, "CHATRELAY_MQTT_URL"},
		{"foreign scheme", func(c *Config) { c.URLs = []string{"http://a"} }, "CHATRELAY_MQTT_URL"},
		{"no host", func(c *Config) { c.URLs = []string{"tcp://"} }, "CHATRELAY_MQTT_URL"},
		{"no URL at all", func(c *Config) { c.URLs = []string{"tcp://u:se%cret@a"} }, "CHATRELAY_MQTT_URL"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c := sound()
			tc.change(&c)
			_, err := New(c, nil)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want it to name %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "cret") {
				t.Errorf("shows a secret: %v", err)
			}
		})
	}
}

func TestTopics(t *testing.T) {
	s, err := New(sound(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ to, want string }{
		{"1001", "/chat/1001"},
		{"a.b-c_d", "/chat/a.b-c_d"},
		{"", ""}, {"+", ""}, {"12+34", ""}, {"#", ""}, {"12/34", ""}, {"a\x00b", ""}, {"a\x01b", ""},
		{"\xff", ""}, {"\xed\xa0\x80", ""}, {"a\uffff", ""}, {"a\ufffe", ""}, {"receiver", ""},
		{strings.Repeat("a", 70000), ""},
	}
	for _, tc := range tests { // although the pattern allows everything
		got, refusal := s.topic(tc.to)
		if got != tc.want && refusal == nil || (refusal == nil) != (tc.want != "") {
			t.Errorf("topic(%.20q) = %.40q, %v; want %q", tc.to, got, refusal, tc.want)
		}
	}
	for _, tc := range []struct {
		topic, want string
		ok          bool
	}{
		{"/chat/1001", "1001", true}, {"/chat/", "", false}, {"/chat", "", false}, {"/chat/a/b", "", false},
		{"/chat/+", "", false}, {"/chat/#", "", false}, {"/chat/a\x00b", "", false},
		{"/other/1001", "", false}, {"x/chat/1001", "", false}, {"/chat/receiver", "", false},
	} {
		if got, ok := s.inboxOf(tc.topic); got != tc.want || ok != tc.ok {
			t.Errorf("inboxOf(%q) = %q, %v", tc.topic, got, ok)
		}
	}
}

func TestHow(t *testing.T) {
	want := how{session: newNonce(), id: 513, qos: 2, phase: released}
	got, err := parseHow(want.bytes())
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(how{})); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for name, h := range map[string]how{
		"no id": {qos: 2, phase: 1}, "QoS 0": {id: 1, phase: 1}, "QoS 3": {id: 1, qos: 3, phase: 1},
		"released at QoS 1": {id: 1, qos: 1, phase: 2}, "no phase": {id: 1, qos: 2},
	} {
		if _, err := parseHow(h.bytes()); !errors.Is(err, errHow) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseHow(want.bytes()[:12]); !errors.Is(err, errHow) {
		t.Errorf("short: %v", err)
	}
}

func TestReceiveMaximum(t *testing.T) {
	tests := []struct {
		name   string
		packet []byte
		want   int
		err    bool
	}{
		{"mosquitto at its defaults", []byte{0x20, 9, 0, 0, 6, 0x22, 0, 10, 0x21, 0, 20}, 20, false},
		{"first", []byte{0x20, 6, 0, 0, 3, 0x21, 1, 0}, 256, false},
		{"behind every other kind", append([]byte{0x20, 47, 0, 0, 44,
			0x11, 0, 0, 0, 0, 0x24, 1, 0x25, 1, 0x27, 0, 0, 0, 0, 0x12, 0, 1, 'x', 0x1f, 0, 0, 0x26, 0, 1, 'a', 0, 2, 'b', 'c',
			0x28, 1, 0x29, 1, 0x2a, 1, 0x13, 0, 1, 0x1a, 0, 0}, 0x21, 0, 7), 7, false},
		{"none", []byte{0x20, 3, 0, 0, 0}, noMaximum, false},
		{"refused", []byte{0x20, 3, 0, 0x87, 0}, 0, true},
		{"3.1.1 answer", []byte{0x20, 2, 0, 1}, 0, true},
		{"cut off", []byte{0x20, 6, 0, 0, 3, 0x21}, 0, true},
		{"length that lies", []byte{0x20, 6, 0, 0, 3, 0x1f, 0xff, 0xff}, 0, true},
		{"unknown property", []byte{0x20, 5, 0, 0, 2, 0x7f, 0}, 0, true},
		{"no CONNACK", []byte{0x30, 2, 0, 0}, 0, true},
		{"nothing", nil, 0, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := readConnack5(bufio.NewReader(bytes.NewReader(tc.packet)))
			if err == nil && got.receive != tc.want || (err != nil) != tc.err {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func FuzzConnack5(f *testing.F) {
	f.Add([]byte{0x20, 9, 0, 0, 6, 0x22, 0, 10, 0x21, 0, 20})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := readConnack5(bufio.NewReader(bytes.NewReader(b))); err == nil && (n.receive < 0 || n.receive > noMaximum || n.qos < 1) {
			t.Errorf("%+v", n)
		}
	})
}

func TestRows(t *testing.T) {
	r := newRows(bridgetest.NewMemory(t).SideJournal())
	session := newNonce()
	r.restore(session, nil)
	hash, other := digest("t", []byte("a")), digest("t", []byte("b"))
	if digest("ta", []byte("b")) == digest("t", []byte("ab")) {
		t.Error("topic and payload run together")
	}
	x, state := r.open(1, 7, false, 2, hash)
	if r.match(2, 7, true, hash) != x {
		t.Error("a redelivery is not known")
	}
	if r.match(2, 7, false, hash) != nil || r.match(2, 7, true, other) != nil || r.match(2, 8, true, hash) != nil {
		t.Error("a new message is taken for a redelivery")
	}
	r.close(7, x, nil)

	again := newRows(r.journal) // after a restart
	again.restore(session, map[string][]byte{state[0].Key: state[0].Value, "in.x": {1}, "session": session[:]})
	if got := again.match(1, 7, true, hash); got == nil || got.err != nil {
		t.Error("forgotten over a restart")
	}
	stranger := newRows(r.journal)
	stranger.restore(newNonce(), map[string][]byte{state[0].Key: state[0].Value})
	if stranger.match(1, 7, true, hash) != nil {
		t.Error("a row of another session counts")
	}
	first := r.release(7)
	if first == 0 || r.match(2, 7, true, hash) != nil {
		t.Error("PUBREL does not release the id")
	}
	if r.release(7) <= first {
		t.Error("the PUBCOMP of a repeated PUBREL does not wait until the id is released in the journal")
	}
	y, _ := r.open(2, 9, false, 1, hash)
	r.close(9, y, nil)
	if r.release(9) != 0 || r.match(2, 9, true, hash) == nil {
		t.Error("PUBREL released a QoS 1 row")
	}
	z, _ := r.open(2, 10, false, 2, hash)
	r.close(10, z, bridge.ErrFull)
	if r.match(2, 10, true, hash) != nil {
		t.Error("a message that was not taken has a row")
	}
	if gone := r.renew(newNonce()); len(gone) != 1 || gone[0].Key != "in.9" || r.match(2, 9, true, hash) != nil {
		t.Errorf("a new session keeps rows: %v", gone)
	}
}

// A QoS 1 row lives until its connection's redeliveries are over: later an equal message may come on its id, be cut
// off, and be redelivered.
func TestRowsExpire(t *testing.T) {
	r := newRows(bridgetest.NewMemory(t).SideJournal())
	r.restore(newNonce(), nil)
	hash := digest("t", []byte("ok"))
	for id, qos := range map[uint16]byte{1: 1, 2: 1, 3: 2} {
		x, _ := r.open(1, id, false, qos, hash)
		r.close(id, x, nil)
	}
	if r.match(2, 1, true, hash) == nil {
		t.Error("forgotten before the redelivery")
	}
	r.open(2, 9, true, 1, hash)
	if r.match(2, 2, true, hash) == nil {
		t.Error("forgotten at a redelivery")
	}
	r.byID[2].gen = 1
	_, state := r.open(2, 8, false, 1, hash) // something new
	if r.match(2, 2, true, hash) != nil || len(state) != 2 || state[0].Key != "in.2" || state[0].Value != nil {
		t.Errorf("an old QoS 1 row stays: %v", state)
	}
	if r.match(2, 1, true, hash) == nil || r.match(2, 3, true, hash) == nil {
		t.Error("a row that may be redelivered is forgotten")
	}
}

// Rows of a session that is gone do not stay in the journal for ever; what is no row is let be.
func TestStaleRowsGo(t *testing.T) {
	m := bridgetest.NewMemory(t)
	journal, session := m.SideJournal(), newNonce()
	r := newRows(journal)
	r.restore(session, nil)
	x, state := r.open(1, 7, false, 2, digest("t", []byte("a")))
	r.close(7, x, nil)
	gone := newNonce()
	old := bridge.StateRow{Key: rowKey(8), Value: append(append(gone[:], 2), make([]byte, 16)...)}
	rows := append(state, old, bridge.StateRow{Key: "in.x", Value: []byte{1}}, bridge.StateRow{Key: stateSession, Value: session[:]})
	if err := journal.Wait(t.Context(), journal.SetState(bridge.MQTT, rows...)); err != nil {
		t.Fatal(err)
	}
	known, err := journal.State(t.Context(), bridge.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	newRows(journal).restore(session, known)
	if err := journal.Wait(t.Context(), journal.SetState(bridge.MQTT)); err != nil {
		t.Fatal(err)
	}
	if m.Row("in.7") == nil || m.Row("in.8") != nil || m.Row("in.x") != nil || m.Row(stateSession) == nil {
		t.Errorf("rows 7 %x, 8 %x, x %x, session %x", m.Row("in.7"), m.Row("in.8"), m.Row("in.x"), m.Row(stateSession))
	}
}
