package mqttside

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
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
