package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// traced is a message as chatrelay trace and /trace give it.
type traced struct {
	Message  uint64
	ID       string
	State    string
	Stations []station
}

type station struct {
	At    time.Time
	Event string
}

func (m *traced) events() (out []string) {
	for _, s := range m.Stations {
		out = append(out, s.Event)
	}
	return out
}

func (m *traced) has(event string) (n int) {
	for _, e := range m.events() {
		if e == event {
			n++
		}
	}
	return n
}

// trace runs the command on the relay's folder; nil: nothing is known yet.
func trace(t *testing.T, c *chat, what string) *traced {
	t.Helper()
	cmd := exec.Command(binary, "trace", "-json", what)
	cmd.Env = []string{"CHATRELAY_STORE=" + c.Relay.Store()}
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("trace %s: %v\n%s", what, err, output)
	}
	return oneTraced(t, output)
}

func oneTraced(t *testing.T, text []byte) *traced {
	t.Helper()
	var found struct{ Messages []*traced }
	if err := json.Unmarshal(text, &found); err != nil || len(found.Messages) > 1 {
		t.Fatalf("%v in %s", err, text)
	}
	if len(found.Messages) == 0 {
		return nil
	}
	return found.Messages[0]
}

// traceUntil asks until what is said of a message fits: what happens is on its way to the file for a moment.
func traceUntil(t *testing.T, c *chat, what string, ok func(*traced) bool) *traced {
	t.Helper()
	for late := time.Now().Add(stage.WaitLimit); ; time.Sleep(20 * time.Millisecond) {
		m := trace(t, c, what)
		if m != nil && ok(m) {
			return m
		}
		if time.Now().After(late) {
			t.Fatalf("trace %s: %+v", what, m)
		}
	}
}

// TestTrace follows a message that is taken while the XMPP server is away, through a kill of the relay and the server's
// return, until it is delivered: by its sender's id and by its number, beside a relay that runs and one that does not. The debug log has
// the same number from its first line to its last.
func TestTrace(t *testing.T) {
	forgive := func(e event) bool { return e.env.Status == "delayed" }
	c := newForgivingChat(t, stage.Plan{Start: servers.NewProsody, Env: map[string]string{"LOG_LEVEL": "debug"}}, forgive)
	if err := c.XMPP.Stop(); err != nil {
		t.Fatal(err)
	}
	e := stage.Direct("1003", "1004", "follow me")
	c.publish(t, "1003", "1004", e.String())
	waiting := traceUntil(t, c, e.ID, func(m *traced) bool { return m.State == "waiting" })
	if waiting.ID != e.ID || waiting.events()[0] != "taken" || waiting.has("settled") != 0 {
		t.Errorf("while the server is away: %+v", waiting)
	}
	c.Relay.Kill()
	if dead := trace(t, c, fmt.Sprint(waiting.Message)); dead == nil || dead.State != "waiting" || dead.ID != e.ID {
		t.Errorf("while the relay is away: %+v", dead)
	}
	if err := c.XMPP.Start(); err != nil {
		t.Fatal(err)
	}
	c.Relay.Start()
	c.h.wantNotice(t, "1003", "sent", e.Content)
	done := traceUntil(t, c, e.ID, func(m *traced) bool { return m.has("settled") == 2 }) // of the message, and of the notice about it
	inOrder := slices.IsSortedFunc(done.Stations, func(a, b station) int { return a.At.Compare(b.At) })
	if done.State != "delivered" || done.Message != waiting.Message || done.events()[0] != "taken" || done.has("bound") < 2 || !inOrder {
		t.Errorf("in the end: %+v", done)
	}
	code, text, err := c.Relay.Get(t.Context(), "/trace?q=1004")
	if err != nil || code != 200 {
		t.Fatalf("/trace: %d %s %v", code, text, err)
	}
	if page := oneTraced(t, []byte(text)); page == nil || page.Message != done.Message || page.State != done.State {
		t.Errorf("the page: %+v", page)
	}
	wantLogged(t, c, done.Message)
}

// wantLogged wants a message's lines in the debug log, all with its number.
func wantLogged(t *testing.T, c *chat, number uint64) {
	t.Helper()
	mine := fmt.Sprintf(`"msg":%d,`, number)
	refs := fmt.Sprintf(`"ref":"%d.`, number)
	// taken in; the message and its notice, each on the wire and settled
	if n := c.Relay.LogCount(mine); n < 5 {
		t.Errorf("%d lines with the number %d", n, number)
	}
	if with, all := c.Relay.LogCount(mine+refs), c.Relay.LogCount(refs); with < 4 || with != all {
		t.Errorf("%d lines of %d about its deliveries have the number", with, all)
	}
}
