package mqttside

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge/bridgetest"
	"chatrelay/mqttside/session"
)

func valid() Config {
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
			c := valid()
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
	s, err := New(valid(), nil)
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

// TestExpiry: what the publisher says of how long a message is worth anything is in whole seconds, and the last may not be over.
func TestExpiry(t *testing.T) {
	s, err := New(testConfig(t, "tcp://127.0.0.1:1"), bridgetest.NewMemory(t).SideJournal())
	if err != nil {
		t.Fatal(err)
	}
	none, some := time.Duration(0), time.Minute
	for expiry, want := range map[*time.Duration]time.Duration{nil: 0, &none: time.Second, &some: time.Minute} {
		in := s.judge(&item{k: &connection{}, p: &session.Publish{Topic: "/chat/1001", Payload: []byte("{}"), QoS: 1, Expiry: expiry}})
		if in.Refused != nil || in.Expires != want {
			t.Errorf("%v: expires in %v, want %v (%v)", expiry, in.Expires, want, in.Refused)
		}
	}
}
