package sm

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// records is a TLS connection as Prosody sees it: each write is there whole or not at all, and so many bytes are
// read at a time, across records.
type records struct {
	net.Conn
	mu     sync.Mutex
	on     bool // what is written stays here
	sent   [][]byte
	buffer []byte
}

func (r *records) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{HandshakeComplete: true}
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	on := r.on
	if on {
		r.sent = append(r.sent, append([]byte(nil), p...))
	}
	r.mu.Unlock()
	if on {
		return len(p), nil
	}
	return r.Conn.Write(p)
}

// read gets up to size bytes of the records that have arrived, of which the last few may not have.
func (r *records) read(size, missing int) (got []byte, unread int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.sent) > missing && len(r.buffer) < size {
		r.buffer, r.sent = append(r.buffer, r.sent[0]...), r.sent[1:]
	}
	unread = len(r.buffer)
	for _, s := range r.sent {
		unread += len(s)
	}
	got = r.buffer[:min(size, len(r.buffer))]
	r.buffer = append([]byte(nil), r.buffer[len(got):]...)
	return got, unread
}

// TestBlocks: whatever arrives when, a server that reads so many bytes at a time never stands within an element, though
// many times as much is under way.
func TestBlocks(t *testing.T) {
	const bound, stanzas = 1000, 3000
	st := New(Config{ReadSize: bound, Window: 1 << 20}, State{})
	f, nc := newFake(t)
	rec := &records{Conn: nc}
	c, err := connect(t, st, rec, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	rec.on = true
	c.start()
	go func() { // ends with the stream at the latest
		for i := range stanzas {
			size := rand.IntN(150)
			switch rand.IntN(200) {
			case 0:
				size = 3*bound + rand.IntN(bound) // alone, between all others
			case 1, 2, 3:
				size = bound/2 + rand.IntN(bound/2)
			}
			// What fits with its <r/> on its own is never cut.
			id := fmt.Sprint("n", i, ".")
			if empty := len(outbound(id)) + len(askR); empty+size > bound {
				id += "large"
			}
			id += strings.Repeat("y", size)
			if _, err := st.Send(t.Context(), outbound(id), nil); err != nil {
				return
			}
			if rand.IntN(300) == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	s := scanner{depth: 1}
	var part []byte // of the element that is being read
	large := false  // the last stanza is larger than what is read at a time
	h, most := 0, 0
	for end := time.Now().Add(waitLimit); h < stanzas; {
		if time.Now().After(end) {
			t.Fatalf("%d of %d stanzas came", h, stanzas)
		}
		got, unread := rec.read(bound, rand.IntN(3))
		most = max(most, unread)
		for _, b := range got {
			part = append(part, b)
			if s.step(b) != closed {
				continue
			}
			switch p := strings.TrimSpace(string(part)); {
			case strings.HasPrefix(p, fmt.Sprintf("<message to='1002@chat.test' id='n%d.", h)):
				h++
				large = strings.Contains(p, "large")
			case strings.HasPrefix(p, "<r "):
				f.writef("<a xmlns='urn:xmpp:sm:3' h='%d'/>", h)
			case !strings.HasPrefix(p, "<a "):
				t.Fatalf("got %.60s, want n%d", p, h)
			}
			part = part[:0]
		}
		if p := strings.TrimSpace(string(part)); p != "" && !strings.Contains(p, "large") && !large {
			t.Fatalf("it stands within %s", p)
		}
		if rand.IntN(4) == 0 {
			f.write("<r xmlns='urn:xmpp:sm:3'/>") // calls for an <a/>, in whatever write
		}
	}
	if most < 5*bound || most > blocksAhead*bound {
		t.Errorf("at most %d bytes were unread", most)
	}
}
