package journal

import (
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
)

// A message expires by the time that relays run, across a restart, and nothing but what is put in its place is kept then,
// through a requeue as well.
func TestExpires(t *testing.T) {
	o := options(t.TempDir())
	c := &steppable{clock: newClock()}
	o.Clock, o.Elapsed = c.Now, c.elapsed
	b := openTest(t, o)
	left := func(when string, want time.Duration) bridge.Outbound {
		t.Helper()
		x := b.next(bridge.XMPP)
		if x.Left != want {
			t.Errorf("%s: left %v, want %v", when, x.Left, want)
		}
		return x
	}
	secret := strings.Repeat("secret ", 1000)
	r := direct(bridge.MQTT, "1001", "1002", secret)
	r.Expires = 1000 * time.Second
	b.want(r, bridge.OutcomeTaken)
	b.Release(left("at first", 1000*time.Second).Ref)
	c.pass(400 * time.Second)
	b.Release(left("after a while", 600*time.Second).Ref)
	b.sync()
	b.end()
	c.ran.Store(0) // the next process begins
	b = openTest(t, o)
	x := left("after a restart", 600*time.Second)
	b.Release(x.Ref)
	c.pass(600 * time.Second)
	left("over", -1)
	for n := range 2 {
		b.Settle(bridge.Result{Ref: x.Ref, Err: bridge.Refuse("expired", "too late"), Body: []byte("key fields")})
		b.wantNotice("1001", "key fields|failed|too late")
		b.wantCount(died, bridge.MQTT, "expired", 1)
		if n == 0 {
			must(t, b.Requeue(t.Context(), x.Ref))
			if again := left("requeued", -1); string(again.Body) != "key fields" {
				t.Errorf("requeued as %.20q", again.Body)
			}
		}
	}
	if _, bytes := b.DeadLetters(); bytes > int64(len(secret)) {
		t.Errorf("dead letters take %d bytes", bytes)
	}
	b = b.reopen(o)
	if _, bytes := b.DeadLetters(); bytes > int64(len(secret)) {
		t.Errorf("after a restart dead letters take %d bytes", bytes)
	}
	var body string
	b.ask(&body, "SELECT body FROM messages WHERE id = ?", int64(x.Ref.Msg))
	if body != "key fields" {
		t.Errorf("kept %.20q", body)
	}
	must(t, b.Drop(t.Context(), x.Ref))
	if n, bytes := b.DeadLetters(); n != 0 || bytes != 0 {
		t.Errorf("%d dead letters of %d bytes are left", n, bytes)
	}
}

// What has no time to expire never does.
func TestExpiresNever(t *testing.T) {
	b := openTest(t, options(t.TempDir()))
	b.want(direct(bridge.MQTT, "1001", "1002", "a"), bridge.OutcomeTaken)
	if x := b.next(bridge.XMPP); x.Left != 0 {
		t.Errorf("left %v", x.Left)
	}
}
