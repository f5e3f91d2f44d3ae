package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// Clients that nobody here wrote chat with devices: slixmpp, go-sendxmpp and profanity.
func TestOtherClients(t *testing.T) {
	c := newForgivingChat(t, stage.Plan{Start: servers.NewProsody, XMPP: servers.XMPPConfig{Component: "relay"}, Wire: asComponent,
		Env: map[string]string{"NOTICES": "sent,delayed,failed,received"}}, func(e event) bool {
		return e.side == "xmpp" || e.env.Status == "received" // other clients of the same people hear it, too
	})
	c.sends(t, stage.Direct("1002", "1001", "before"), "1001") // by which the relay learns the device's name
	t.Run("slixmpp", c.slixmpp)
	t.Run("go-sendxmpp", c.goSendxmpp)
	t.Run("profanity", c.profanity)
	c.Relay.Balanced()
	c.h.wantNothing(t)
	c.Relay.Stop()
}

// at is the address of a device, for people.
func (c *chat) at(landline string) string { return landline + "@" + c.XMPP.Component }

// sends is a device that publishes a message, with more fields where they are given, and is told that it was sent.
func (c *chat) sends(t *testing.T, e stage.Envelope, inbox string, more ...string) stage.Envelope {
	t.Helper()
	body := strings.Join(append([]string{strings.TrimSuffix(e.String(), "}")}, more...), ",") + "}"
	c.publish(t, e.From, inbox, body)
	c.h.wantMQTT(t, inbox, body) // the broker's own delivery
	c.h.wantNotice(t, e.From, "sent", e.Content)
	return e
}

// reads wants what a person's client has sent, in the inbox of a device, and that the person's device is told.
func (c *chat) reads(t *testing.T, from, inbox, content string, fields ...string) {
	t.Helper()
	c.h.want(t, content+" in the inbox of "+inbox, stage.WaitLimit, func(e event) bool {
		for _, field := range fields {
			if !strings.Contains(e.body, field) {
				return false
			}
		}
		return e.side == "mqtt" && e.inbox == inbox && e.env.From == from && strings.TrimSpace(e.env.Content) == content && !e.env.Notice()
	})
	c.h.want(t, "sent for "+content, stage.WaitLimit, func(e event) bool {
		return e.inbox == from && e.env.Status == "sent" && strings.TrimSpace(e.env.Content) == content
	})
}

// received wants that a device is told so of its message.
func (c *chat) received(t *testing.T, e stage.Envelope) {
	t.Helper()
	c.h.want(t, "a receipt of "+e.Content, stage.WaitLimit, func(x event) bool {
		return x.side == "mqtt" && x.inbox == e.From && x.env.Status == "received" && x.env.ID == e.ID
	})
}

// slixmpp is a library for Python.
func (c *chat) slixmpp(t *testing.T) {
	host, port, err := net.SplitHostPort(c.XMPP.Addr)
	if err != nil {
		t.Fatal(err)
	}
	seen := startTalk(t, c.XMPP.JID("1001"), c.XMPP.Password("1001"), host, port, c.at("1002"), "hello from slixmpp")
	t.Run("a text", func(t *testing.T) {
		seen.want(t, "vcard", "name", "N 1002")
		c.reads(t, "1001", "1002", "hello from slixmpp", `"id":"slix-1"`)
		seen.want(t, "receipt", "id", "slix-1")
		seen.want(t, "available", "who", c.at("1002"))
	})
	t.Run("corrections", func(t *testing.T) {
		first := c.sends(t, stage.Direct("1002", "1001", "an answr"), "1001")
		id := seen.want(t, "message", "body", first.Content)["id"]
		c.sends(t, stage.Direct("1002", "1001", "an answer"), "1001", `"replaces":"`+first.ID+`"`)
		if got := seen.want(t, "correction", "body", "an answer"); got["of"] != id {
			t.Errorf("got %v, want a correction of %s", got, id)
		}
		c.received(t, first)
		seen.do(t, map[string]string{"id": "slix-2", "text": "hello again from slixmpp", "of": "slix-1"})
		c.reads(t, "1001", "1002", "hello again from slixmpp", `"replaces":"slix-1"`)
	})
	t.Run("files", func(t *testing.T) {
		link := "https://files.chat.test/a%20cat.jpg"
		e := stage.Direct("1002", "1001", link)
		e.ContentType = 1
		c.sends(t, e, "1001")
		seen.want(t, "message", "file", link)
		link = "https://files.chat.test/a-dog.jpg"
		seen.do(t, map[string]string{"id": "slix-3", "text": link, "file": link})
		c.reads(t, "1001", "1002", link, `"contentType":1`)
	})
	t.Run("in a room", func(t *testing.T) {
		room := c.XMPP.Room("team")
		seen.do(t, map[string]string{"room": room, "nick": "Slix"})
		seen.want(t, "occupant", "nick", "Slix")
		for landline, name := range map[string]string{"1002": "Ann", "1003": "Bob"} {
			e := stage.Grouped(landline, room, "to the room from "+name)
			e.Name = name
			c.sends(t, e, "1001")
			if got := seen.want(t, "occupant", "nick", name)["jid"]; got != c.at(landline) {
				t.Errorf("%s is %s, want %s", name, got, c.at(landline))
			}
			if got := seen.want(t, "message", "body", e.Content)["nick"]; got != name {
				t.Errorf("%q is said by %s, want %s", e.Content, got, name)
			}
		}
	})
}

// goSendxmpp is a program for one message, or for those that come.
func (c *chat) goSendxmpp(t *testing.T) {
	args := []string{"-n", "-u", c.XMPP.JID("1003"), "-p", c.XMPP.Password("1003"), "-j", c.XMPP.Addr}
	cmd := exec.CommandContext(t.Context(), "go-sendxmpp", append(args, c.at("1004"))...)
	cmd.Stdin = strings.NewReader("hello from go-sendxmpp")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	c.reads(t, "1003", "1004", "hello from go-sendxmpp")
}

// talk is what testdata/talk.py sees.
type talk struct {
	mu      sync.Mutex // guards the next two
	events  []map[string]string
	changed chan struct{} // closed at each event, then made anew
	orders  io.Writer
}

// startTalk runs it with Debian's Python, as long as the test.
func startTalk(t *testing.T, args ...string) *talk {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"testdata/talk.py"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	failures := &strings.Builder{}
	cmd.Stderr = failures
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := &talk{changed: make(chan struct{}), orders: orders}
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

// do tells it what to do.
func (s *talk) do(t *testing.T, order map[string]string) {
	t.Helper()
	if err := json.NewEncoder(s.orders).Encode(order); err != nil {
		t.Fatal(err)
	}
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
