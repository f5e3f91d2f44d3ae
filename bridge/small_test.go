package bridge

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestRender(t *testing.T) {
	note := Note{Status: "failed", Text: "nobody is there", At: 1767323045678}
	body := string(envelope(nil))
	noted := strings.TrimSuffix(body, "}") + `,"status":"failed","reason":"nobody is there","statusTime":1767323045678}`
	tests := []struct {
		name string
		kind Kind
		want string
	}{
		{"inbox", KindInbox, body},
		{"chat", KindChat, body},
		{"room", KindRoom, body},
		{"copy", KindCopy, strings.Replace(body, `"to":"1002"`, `"to":"1003"`, 1)},
		{"notice", KindNotice, noted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			of := Render(MQTT, tt.kind, "1003", []byte(body), note) // nobody vouches for its sender
			if want := `{"from":"1001","to":"1002","chatType":1,"timeStamp":1700000000123,"status":"failed","reason":"nobody is there","statusTime":1767323045678}`; tt.kind != KindNotice {
				if string(of) != tt.want {
					t.Errorf("of an MQTT message: got %s, want %s", of, tt.want)
				}
			} else if string(of) != want {
				t.Errorf("of an MQTT message: got %s, want %s", of, want)
			}
			got := Render(XMPP, tt.kind, "1003", []byte(body), note)
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if again := Render(XMPP, tt.kind, "1003", []byte(body), note); !bytes.Equal(got, again) {
				t.Errorf("a resumed packet differs:\n%s\n%s", got, again)
			}
		})
	}
}

func TestLimiter(t *testing.T) {
	c := newClock()
	l := newLimiter(c.now)
	allowed := func(sender string, n int) (got int) {
		for range n {
			if l.allow(sender) {
				got++
			}
		}
		return got
	}
	if got := allowed("1001", 25); got != answersPerSecond {
		t.Errorf("%d answers in a second, want %d", got, answersPerSecond)
	}
	if got := allowed("1002", 25); got != answersPerSecond {
		t.Errorf("another sender has %d answers, want %d", got, answersPerSecond)
	}
	c.add(time.Second)
	if got := allowed("1001", 25); got != answersPerSecond {
		t.Errorf("%d answers in the next second, want %d", got, answersPerSecond)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(newClock().now)
	for n := range limiterSenders {
		if !l.allow(fmt.Sprint("s", n)) {
			t.Fatalf("sender %d has no answer", n)
		}
	}
	if l.allow("one more") {
		t.Error("more senders are answered than are kept")
	}
	if !l.allow("s1") {
		t.Error("a known sender is cut short by the others")
	}
	if len(l.given) != limiterSenders {
		t.Errorf("%d senders are kept, want %d", len(l.given), limiterSenders)
	}
}

func TestBackoff(t *testing.T) {
	for n := range 2000 {
		full := backoffMost
		if n < 8 {
			full = min(backoffFirst<<n, backoffMost)
		}
		for range 50 {
			if d := backoff(n); d < full/2 || d > full {
				t.Fatalf("attempt %d waits %v, want at least %v and at most %v", n, d, full/2, full)
			}
		}
	}
}

// What a delivery is tried before it is given up must fit into the time after which it is.
func TestGiveUpTriesFit(t *testing.T) {
	if time.Duration(giveUpTries)*backoffMost > giveUpAfter || giveUpTries < 100 {
		t.Errorf("%d tries do not go with %v", giveUpTries, giveUpAfter)
	}
}

func TestLogThrottle(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out)
	c := newClock()
	h := newLogThrottle(c.now)
	say := func(key string) string {
		out.Reset()
		h.event(key, func() *zerolog.Event { return log.Warn() }).Msg(key)
		return out.String()
	}
	steps := []struct {
		after time.Duration
		key   string
		want  string
	}{
		{0, "a", `{"level":"warn","suppressed":0,"message":"a"}` + "\n"},
		{0, "a", ""},
		{time.Minute - 1, "a", ""},
		{0, "b", `{"level":"warn","suppressed":0,"message":"b"}` + "\n"},
		{1, "a", `{"level":"warn","suppressed":2,"message":"a"}` + "\n"},
		{0, "a", ""},
		{time.Minute, "a", `{"level":"warn","suppressed":1,"message":"a"}` + "\n"},
	}
	for n, s := range steps {
		c.add(s.after)
		if got := say(s.key); got != s.want {
			t.Errorf("step %d: logged %q, want %q", n, got, s.want)
		}
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{"mqtt": MQTT, "xmpp": XMPP, "unknown": SideID(0), "7.2": Ref{7, 2}} {
		if got.String() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, want := Refuse("bad", "no %d", 7).Error(), "bad: no 7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for kind, is := range map[Kind]bool{KindInbox: true, KindCopy: true, KindNotice: false, KindChat: true, KindRoom: true, KindReceipt: false, KindError: false} {
		if kind.IsMessage() != is {
			t.Errorf("kind %d: message %v, want %v", kind, kind.IsMessage(), is)
		}
	}
}
