package e2e

import (
	"bufio"
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// Clients that nobody here wrote chat with devices: slixmpp and go-sendxmpp.
func TestOtherClients(t *testing.T) {
	c := newForgivingChat(t, stage.Plan{Start: servers.NewProsody, XMPP: servers.XMPPConfig{Component: "relay"}, Wire: asComponent,
		Env: map[string]string{"NOTICES": "sent,delayed,failed,received"}}, func(e event) bool {
		return e.side == "xmpp" || e.env.Status == "received" // other clients of the same people hear it, too
	})
	at := func(landline string) string { return landline + "@" + c.XMPP.Component }
	hello := func(content string) { // by which the relay learns the device's name
		e := stage.Direct("1002", "1001", content)
		c.publish(t, "1002", "1001", e.String())
		c.h.wantMQTT(t, "1001", e.String())
		c.h.wantNotice(t, "1002", "sent", e.Content)
	}
	hello("before")
	t.Run("slixmpp", func(t *testing.T) {
		host, port, err := net.SplitHostPort(c.XMPP.Addr)
		if err != nil {
			t.Fatal(err)
		}
		seen := startTalk(t, c.XMPP.JID("1001"), c.XMPP.Password("1001"), host, port, at("1002"), "hello from slixmpp")
		seen.want(t, "vcard", "name", "N 1002")
		c.h.want(t, "its text", stage.WaitLimit, func(e event) bool {
			return e.side == "mqtt" && e.inbox == "1002" && e.env.From == "1001" && e.env.Content == "hello from slixmpp" && e.env.ID == "slix-1"
		})
		c.h.wantNotice(t, "1001", "sent", "hello from slixmpp")
		seen.want(t, "receipt", "id", "slix-1")
		seen.want(t, "available", "who", at("1002"))
		first := stage.Direct("1002", "1001", "an answr")
		c.publish(t, "1002", "1001", first.String())
		id := seen.want(t, "message", "body", first.Content)["id"]
		body := strings.TrimSuffix(stage.Direct("1002", "1001", "an answer").String(), "}") + `,"replaces":"` + first.ID + `"}`
		c.publish(t, "1002", "1001", body)
		if got := seen.want(t, "correction", "body", "an answer"); got["of"] != id {
			t.Errorf("got %v, want a correction of %s", got, id)
		}
		c.h.want(t, "a receipt of it", stage.WaitLimit, func(e event) bool {
			return e.side == "mqtt" && e.inbox == "1002" && e.env.Status == "received" && e.env.ID == first.ID
		})
		for _, content := range []string{"an answr", "an answer"} {
			c.h.want(t, "the broker's own", stage.WaitLimit, func(e event) bool {
				return e.side == "mqtt" && e.inbox == "1001" && e.env.Content == content && !e.env.Notice()
			})
			c.h.wantNotice(t, "1002", "sent", content)
		}
	})
	t.Run("go-sendxmpp", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), "go-sendxmpp", "-n", "-u", c.XMPP.JID("1003"), "-p", c.XMPP.Password("1003"), "-j", c.XMPP.Addr, at("1004"))
		cmd.Stdin = strings.NewReader("hello from go-sendxmpp")
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		c.h.want(t, "its text", stage.WaitLimit, func(e event) bool {
			return e.side == "mqtt" && e.inbox == "1004" && e.env.From == "1003" && strings.TrimSpace(e.env.Content) == "hello from go-sendxmpp"
		})
		c.h.want(t, "its notice", stage.WaitLimit, func(e event) bool { return e.inbox == "1003" && e.env.Notice() && e.env.Status == "sent" })
	})
	c.Relay.Balanced()
	c.h.wantNothing(t)
	c.Relay.Stop()
}

// talk is what testdata/talk.py sees.
type talk struct {
	mu      sync.Mutex // guards both
	events  []map[string]string
	changed chan struct{} // closed at each event, then made anew
}

// startTalk runs it with Debian's Python, as long as the test.
func startTalk(t *testing.T, args ...string) *talk {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"testdata/talk.py"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	failures := &strings.Builder{}
	cmd.Stderr = failures
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := &talk{changed: make(chan struct{})}
	done := make(chan struct{})
	go func() { // ends with the process
		defer close(done)
		for s := bufio.NewScanner(out); s.Scan(); {
			seen.add(s.Bytes())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("slixmpp (Debian: python3-slixmpp) saw %v\nand says: %s", seen.events, failures)
		}
	})
	return seen
}

func (s *talk) add(line []byte) {
	var e map[string]string
	if json.Unmarshal(line, &e) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	close(s.changed)
	s.changed = make(chan struct{})
}

// want waits for an event in which a field has a value.
func (s *talk) want(t *testing.T, event, field, value string) map[string]string {
	t.Helper()
	late := time.NewTimer(2 * stage.WaitLimit)
	defer late.Stop()
	for {
		s.mu.Lock()
		for _, e := range s.events {
			if e["event"] == event && e[field] == value {
				s.mu.Unlock()
				return e
			}
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("it does not see %s of %s", event, value)
		}
	}
}
