package sm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestReadSize: what the server may not have read yet is bounded, whatever it consists of, and each answer lets more
// go. A stanza beyond the bound goes when no other is under way.
func TestReadSize(t *testing.T) {
	const bound = 1000
	st := New(Config{ReadSize: bound}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	var sent []string
	for i := range 40 {
		id := fmt.Sprintf("n%d", i)
		if i == 20 {
			id += strings.Repeat("y", 2*bound)
		}
		sent = append(sent, id)
		c.send(id)
	}
	wrote, read, asked, h, large := 0, 0, 0, 0, 0
	for h < len(sent) {
		s := f.next()
		wrote += len(s)
		switch {
		case strings.HasPrefix(s, "<r"):
			asked = wrote
		case strings.HasPrefix(s, "<a"):
		case strings.Contains(s, "id='"+sent[h]+"'"):
			if h++; strings.Contains(s, "yyy") {
				large = wrote
			}
		default:
			t.Fatalf("got %.60s, want %.20s", s, sent[h])
		}
		if wrote-read > bound && read >= large {
			t.Fatalf("%d bytes are unread with %.60s", wrote-read, s)
		}
		// The answer keeps it waiting: until the room is almost used up, or the large one would be next.
		if asked > 0 && (wrote-read > bound*3/4 || h >= 20 && h <= 21) {
			f.write("<r xmlns='urn:xmpp:sm:3'/>") // calls for an <a/>
			f.writef("<a xmlns='urn:xmpp:sm:3' h='%d'/>", h)
			read, asked = asked, 0
		}
	}
}

// TestReadSizeAnswer: our own acknowledgements wait too, for an answer that is asked for because of them.
func TestReadSizeAnswer(t *testing.T) {
	st := New(Config{ReadSize: 200}, State{})
	_, f := mustConnect(t, st, (*fake).fresh)
	acks := 0
	for acks < 20 {
		f.write("<r xmlns='urn:xmpp:sm:3'/>")
		switch s := f.next(); {
		case strings.HasPrefix(s, "<r"):
			f.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
		case strings.HasPrefix(s, "<a"):
			acks++
		}
	}
}

// TestSetReadSize: the bound may go while the stream lives.
func TestSetReadSize(t *testing.T) {
	st := New(Config{ReadSize: 1}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	f.until("id='a'")
	c.send("b") // waits for an answer
	st.SetReadSize(0)
	f.until("id='b'")
}

// TestReadSizeFair: an <a/> that is owed goes out although stanzas fill the room to the last byte each time.
func TestReadSizeFair(t *testing.T) {
	st := New(Config{ReadSize: nonzaSize + 2*len(outbound("10"))}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	for i := range 40 {
		c.send(fmt.Sprint(10 + i))
	}
	for h := 0; ; {
		switch s := f.next(); {
		case strings.HasPrefix(s, "<r"):
			f.writef("<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='%d'/>", h)
		case strings.HasPrefix(s, "<a"):
			return
		default:
			if h++; h == 40 {
				t.Fatal("no <a/> before the last stanza")
			}
		}
	}
}

// TestQuestions: an answer counts for the oldest question, and for those that stand before what the server has; blocks
// come with quick answers only.
func TestQuestions(t *testing.T) {
	now := time.Unix(1e9, 0)
	var a unread
	for i := range 4 {
		a.ask(100, uint64(10*(i+1)), now)
		a.write(100, true)
	}
	for _, c := range []struct {
		name       string
		h          uint64
		late       time.Duration
		read, most int
	}{
		{"less than was asked for", 9, 0, 0, 0},
		{"the first", 10, 0, 100, 1},
		{"two at once", 25, 0, 200, 2},
		{"said again, for nothing that was asked", 25, 0, 200, 2},
		{"late, for the one before the last", 40, time.Second, 300, 1},
		{"the last", 40, 0, 400, 2},
	} {
		if a.answered(c.h, now.Add(c.late)); a.read != c.read || a.most != c.most {
			t.Errorf("%s: %d are read, %d blocks may be ahead, want %d, %d", c.name, a.read, a.most, c.read, c.most)
		}
	}
}
