package e2e

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/stage"
)

// event is one thing that one client heard.
type event struct {
	side  string // mqtt or xmpp
	inbox string // whose client
	body  string
	env   stage.Envelope
	st    clients.Stanza
}

// ear keeps what all clients hear until somebody asks for it; nothing may be left over in the end.
type ear struct {
	mu      sync.Mutex // guards both
	events  []event
	changed chan struct{} // closed at each event, then made anew

	forgive func(event) bool // what may be left over; set before anything is heard, nil: nothing
}

func newEar() *ear { return &ear{changed: make(chan struct{})} }

func (h *ear) HearMQTT(inbox string, payload []byte) {
	h.add(event{side: "mqtt", inbox: inbox, body: string(payload)})
}

func (h *ear) HearXMPP(inbox string, s clients.Stanza) {
	if s.Type == "groupchat" && !s.HasBody {
		return // a room's subject
	}
	h.add(event{side: "xmpp", inbox: inbox, body: s.Body, st: s})
}

func (h *ear) add(e event) {
	_ = json.Unmarshal([]byte(e.body), &e.env) // what is no envelope is known by its body
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	close(h.changed)
	h.changed = make(chan struct{})
}

// take removes the first event that ok likes.
func (h *ear) take(ok func(event) bool) (event, <-chan struct{}, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, e := range h.events {
		if ok(e) {
			h.events = append(h.events[:i:i], h.events[i+1:]...)
			return e, nil, true
		}
	}
	return event{}, h.changed, false
}

// all are the events so far that ok likes; they stay.
func (h *ear) all(ok func(event) bool) (out []event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if ok(e) {
			out = append(out, e)
		}
	}
	return out
}

func (h *ear) count(ok func(event) bool) int { return len(h.all(ok)) }

// want waits for an event and takes it.
func (h *ear) want(t *testing.T, what string, within time.Duration, ok func(event) bool) event {
	t.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		e, changed, found := h.take(ok)
		if found {
			return e
		}
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("did not come within %v: %s. Heard besides:\n%s", within, what, h.left())
		}
	}
}

// wantMQTT wants a body in an MQTT inbox, byte for byte.
func (h *ear) wantMQTT(t *testing.T, inbox, body string) {
	t.Helper()
	h.want(t, "in MQTT inbox "+inbox+": "+brief(body), stage.WaitLimit, func(e event) bool {
		return e.side == "mqtt" && e.inbox == inbox && e.body == body
	})
}

// wantXMPP wants a chat message from the relay at an XMPP client, byte for byte.
func (h *ear) wantXMPP(t *testing.T, inbox, body string) clients.Stanza {
	t.Helper()
	return h.want(t, "at XMPP client "+inbox+": "+brief(body), stage.WaitLimit, func(e event) bool {
		return e.side == "xmpp" && e.inbox == inbox && e.body == body && e.st.Type != "error" && e.st.Type != "groupchat" &&
			strings.HasPrefix(e.st.From, "receiver@")
	}).st
}

// wantNotice wants a notice for the message with this content.
func (h *ear) wantNotice(t *testing.T, inbox, status, content string) stage.Envelope {
	t.Helper()
	return h.want(t, status+" for "+brief(content)+" to "+inbox, 2*stage.WaitLimit, func(e event) bool {
		return e.side == "mqtt" && e.inbox == inbox && e.env.Notice() && e.env.Status == status && e.env.About() == content
	}).env
}

// wantRoom wants a groupchat message at every one of the people.
func (h *ear) wantRoom(t *testing.T, nick, body string) {
	t.Helper()
	for _, name := range stage.Landlines() {
		h.want(t, "in the room, heard by "+name+": "+brief(body), stage.WaitLimit, func(e event) bool {
			return e.side == "xmpp" && e.inbox == name && e.body == body && e.st.Type == "groupchat" && strings.HasSuffix(e.st.From, "/"+nick)
		})
	}
}

// wantNothing fails for everything that nobody asked for.
func (h *ear) wantNothing(t *testing.T) {
	t.Helper()
	if left := h.left(); left != "" {
		t.Errorf("heard more than was to be heard:\n%s", left)
	}
}

func (h *ear) left() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, e := range h.events {
		if h.forgive != nil && h.forgive(e) {
			continue
		}
		b.WriteString("  " + e.side + " " + e.inbox)
		if e.side == "xmpp" {
			b.WriteString(" " + e.st.Type + " from " + e.st.From + " " + e.st.Condition + " " + e.st.Text + e.st.Received)
		}
		b.WriteString(": " + brief(e.body) + "\n")
	}
	return b.String()
}

func brief(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}
