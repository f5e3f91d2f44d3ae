package configs

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "512": 512, "7B": 7, "192KiB": 192 << 10, "1 GiB": 1 << 30, "10MB": 10_000_000, "2kB": 2000, "3TiB": 3 << 40,
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5GiB", "1kib", "9999999TiB", "1 G", "0x10", "9223372036854775808"} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %d", text, got)
		}
	}
	for size, want := range map[Size]string{0: "0B", 1023: "1023B", 1 << 10: "1KiB", 192 << 10: "192KiB", 1 << 30: "1GiB", 1<<20 + 1<<10: "1025KiB"} {
		if got := size.String(); got != want {
			t.Errorf("%d is written %q, want %q", int64(size), got, want)
		}
	}
}

func TestNotices(t *testing.T) {
	for text, want := range map[string]Notices{
		"sent,delayed,failed": {Sent: true, Delayed: true, Failed: true}, "typing,read,received": {Received: true, Read: true, Typing: true}, "off": {}, "failed": {Failed: true}, " sent , failed ": {Sent: true, Failed: true}, "delayed,delayed": {Delayed: true},
	} {
		var got Notices
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
		var again Notices
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q is read back as %+v, %v", got, again, err)
		}
	}
}

// TestRedaction: no way of printing a configuration shows a secret.
func TestRedaction(t *testing.T) {
	c, err := Load(least("CHATRELAY_MQTT_URL=ssl://user:sesame@broker:8883", "CHATRELAY_MQTT_USERNAME=u", "CHATRELAY_MQTT_PASSWORD=opensaysme", "CHATRELAY_HTTP_TOKEN=mellon"))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	log := zerolog.New(&logged)
	log.Info().Interface("config", c).Stringer("text", c).Any("password", c.XMPP.Password).Send()
	shown := map[string]string{"json": string(encoded), "log": logged.String(), "String": c.String(), "settings": fmt.Sprint(c.Settings())}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		shown[verb] = fmt.Sprintf(verb, c) + fmt.Sprintf(verb, c.MQTT) + fmt.Sprintf(verb, &c.XMPP) + fmt.Sprintf(verb, c.HTTP.Token) + fmt.Sprintf(verb, c.MQTT.URLs)
	}
	for mistake, text := range shown {
		for _, secret := range []string{"hunter2", "sesame", "opensaysme", "mellon", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%x", "sesame")} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q: %s", mistake, secret, text)
			}
		}
	}
	for _, want := range []string{"CHATRELAY_MQTT_PASSWORD=(secret)\n", "broker:8883", "CHATRELAY_MAX_MESSAGE=192KiB\n"} {
		if !strings.Contains(c.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, c)
		}
	}
	if strings.Contains(c.String(), "MQTT_CA_FILE") || strings.Contains(c.String(), "XMPP_ROOMS") {
		t.Errorf("what is not set is shown:\n%s", c)
	}
}

// TestRotation: a secret is read from its file each time.
func TestRotation(t *testing.T) {
	name := file(t, "old\r\n")
	c, err := Load([]string{"CHATRELAY_XMPP_JID=a@example.org", "CHATRELAY_XMPP_PASSWORD_FILE=" + name})
	if err != nil {
		t.Fatal(err)
	}
	read := c.XMPP.Secret()
	for _, want := range []string{"old", "new with blanks "} {
		if err := os.WriteFile(name, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := read(); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("x", maxSecret+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := read(); err == nil {
		t.Errorf("a file that is no secret was read: %d bytes", len(got))
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if got, err := read(); err == nil {
		t.Errorf("a file that is gone gave %q", got)
	}
}

func TestLandline(t *testing.T) {
	for pattern, cases := range map[string]map[string]bool{
		"[A-Za-z0-9][A-Za-z0-9._-]{0,63}": {
			"1001": true, "a": true, "A.b_c-9": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false,
			"": false, ".a": false, "a/b": false, "+": false, "#": false, "a b": false, "1001\n": false, "\n1001": false, "a\x00": false, "é": false, "１": false, "a@b": false,
		},
		// Alternatives are anchored as a whole.
		"a|b": {"a": true, "b": true, "ab": false, "ax": false, "xb": false},
		// A pattern that means well takes what is not for topics or JIDs all the same: it never passes.
		"(?s)x.y": {"xay": true, "x/y": false, "x+y": false, "x\ny": false, "x y": false, "x'y": false, "xéy": false},
		"z+":      {"z": true, strings.Repeat("z", 255): true, strings.Repeat("z", 256): false},
	} {
		is, err := (&Messages{LandlinePattern: pattern}).Landline()
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range cases {
			if got := is(text); got != want {
				t.Errorf("%s: %q is a landline: %v, want %v", pattern, text, got, want)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"ab", "ba", 2}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// TestSettings: what nobody has set is a default, and a secret is none.
func TestSettings(t *testing.T) {
	t.Setenv("CHATRELAY_MQTT_QOS", "1") // the process's own environment makes no default
	c, err := Load(least("CHATRELAY_MQTT_QOS=1", "CHATRELAY_CONSOLE_TOKEN=0123456789abcdef", "CHATRELAY_CONSOLE_HOSTS=a,b"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Setting{}
	for _, s := range c.Settings() {
		if s.Meaning == "" {
			t.Errorf("%s has no meaning", s.Name)
		}
		s.Meaning = ""
		got[strings.TrimPrefix(s.Name, Prefix)] = s
	}
	for name, want := range map[string]Setting{
		"MQTT_QOS": {Value: "1"}, "MQTT_URL": {Value: "tcp://localhost:1883", Default: true}, "XMPP_PASSWORD": {Value: redacted},
		"CONSOLE_TOKEN": {Value: redacted}, "CONSOLE_HOSTS": {Value: "a,b"}, "NOTICES": {Value: "sent,delayed,failed", Default: true},
		"MQTT_SESSION_EXPIRY": {Value: "336h0m0s", Default: true},
	} {
		want.Name = Prefix + name
		if got[name] != want {
			t.Errorf("%+v, want %+v", got[name], want)
		}
	}
}
