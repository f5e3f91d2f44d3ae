package sm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mellium.im/xmpp/stanza"
)

func TestSendAndAck(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Resource: "relay", Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	if !c.l.Enabled() || c.l.Resumed() {
		t.Fatalf("enabled %v, resumed %v", c.l.Enabled(), c.l.Resumed())
	}
	if got := c.sess.LocalAddr().String(); got != "receiver@chat.test/relay" {
		t.Errorf("bound %s", got)
	}
	for _, id := range []string{"a", "b", "c"} {
		c.send(id)
	}
	f.until("id='c'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	n.waitAcked(t, "a", "b")
	f.write("<a xmlns='urn:xmpp:sm:3' h='3'/>")
	n.waitAcked(t, "a", "b", "c")
	n.wait(t, "bindings", func(b *notes) bool { return slices.Equal(b.bound, []string{"a@st1:1", "b@st1:2", "c@st1:3"}) })
	if got := st.Unacked(); got != 0 {
		t.Errorf("%d unacknowledged", got)
	}
}

func TestAsksForEachWhenIdle(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	for i := range 3 {
		c.send(fmt.Sprint(i))
		f.until("<r ")
		f.writef("<a xmlns='urn:xmpp:sm:3' h='%d'/>", i+1)
	}
}

func TestAsksByCount(t *testing.T) {
	st := New(Config{AskCount: 3}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("first")
	f.until("<r ") // never answered
	for i := range 3 {
		c.send(fmt.Sprint(i))
	}
	f.until("<r ")
}

func TestAsksByTime(t *testing.T) {
	clock := newTestClock()
	st := New(Config{Clock: clock, AskEvery: 10 * time.Second, DeadAfter: 10_000 * time.Hour}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	asked := make(chan struct{})
	go func() { f.until("<r "); close(asked) }()
	clock.drive(t, time.Second, asked)
	c.l.Close()
}

func TestMelliumsOwnStanzasAreCounted(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write("<iq type='get' id='q1' from='chat.test'><x xmlns='y'/></iq>") // mellium answers it
	c.take().Done()
	f.until("service-unavailable")
	if err := c.sess.Encode(t.Context(), stanza.Presence{}); err != nil {
		t.Fatal(err)
	}
	if err := c.sess.Send(t.Context(), stanza.Presence{Type: stanza.UnavailablePresence}.Wrap(nil)); err != nil {
		t.Fatal(err)
	}
	if got := c.send("a"); got != 4 {
		t.Errorf("number %d, want 4 behind three of mellium's", got)
	}
	f.until("id='a'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='4'/>")
	n.waitAcked(t, "a")
}

func TestNonzasAndKeepalivesAreNotCounted(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	if _, err := c.sess.Conn().Write([]byte(" \n<active xmlns='urn:xmpp:csi:0'><x/></active>")); err != nil {
		t.Fatal(err)
	}
	if got := c.send("a"); got != 1 {
		t.Errorf("number %d, want 1", got)
	}
	f.until("<active")
}

func TestHTooHigh(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	f.until("id='a'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	f.until("handled-count-too-high")
	if e := c.end(); !errors.Is(e.Err, ErrProtocol) || e.Resumable {
		t.Errorf("end %+v", e)
	}
	lost := st.Lost()
	if len(lost) != 1 || !lost[0].Maybe {
		t.Errorf("lost %+v: it may have arrived", lost)
	}
}

func TestWindow(t *testing.T) {
	st := New(Config{Window: 2}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	c.send("b")
	if _, err := st.trySend(outbound("c"), "c"); !errors.Is(err, errFull) {
		t.Fatalf("trySend beyond the window: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := st.Send(ctx, outbound("c"), "c"); !errors.Is(err, context.Canceled) {
		t.Fatalf("Send beyond the window: %v", err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := st.Send(t.Context(), outbound("c"), "c")
		sent <- err
	}()
	f.until("id='b'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	f.until("id='c'")
}

func TestSendWaitsForOpen(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	c, err := connect(t, st, nc, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.trySend(outbound("a"), "a"); !errors.Is(err, ErrDown) {
		t.Fatalf("trySend before Open: %v", err)
	}
	c.start()
	c.send("a")
	c.l.Close()
	c.end()
	if _, err := st.trySend(outbound("b"), "b"); !errors.Is(err, ErrDown) {
		t.Fatalf("trySend after the end: %v", err)
	}
}

// recorder is a connection that remembers its writes.
type recorder struct {
	net.Conn
	mu     sync.Mutex
	writes []string
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	r.writes = append(r.writes, string(p))
	r.mu.Unlock()
	return r.Conn.Write(p)
}

func TestWholeStanzasPerWrite(t *testing.T) {
	n := newNotes(false)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	f, nc := newFake(t)
	rec := &recorder{Conn: nc}
	n.auto = true
	c, err := connect(t, st, rec, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.auto = false // gather, then commit all at once
	n.mu.Unlock()
	c.start()
	body := strings.Repeat("x", 700)
	for i := range 20 {
		if _, err := st.Send(t.Context(), outbound(fmt.Sprintf("%d'>%s</message><message id='z%d", i, body, i)), i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Send(t.Context(), outbound(strings.Repeat("y", 9000)), "big"); err != nil {
		t.Fatal(err)
	}
	n.commit()
	f.until("yyy")
	rec.mu.Lock()
	defer rec.mu.Unlock()
	many := 0
	for _, w := range rec.writes {
		if !strings.Contains(w, "<message") {
			continue
		}
		if !strings.HasPrefix(w, "<message") || !strings.HasSuffix(w, "</message>") && !strings.HasSuffix(w, "/>") {
			t.Errorf("a write that is not whole: %.40q…%.40q", w, w[len(w)-40:])
		}
		if len(w) > writeSize+100 && !strings.Contains(w, "yyy") {
			t.Errorf("a write of %d bytes", len(w))
		}
		if strings.Count(w, "<message") > 2 {
			many++
		}
	}
	if many == 0 {
		t.Error("nothing was written together")
	}
}

func TestWriteDeadline(t *testing.T) {
	st := New(Config{WriteTimeout: 50 * time.Millisecond, Window: 10000}, State{})
	ours, theirs := net.Pipe()
	defer theirs.Close()
	f := &fake{t: t, nc: theirs, got: make(chan string, 100)}
	stop := make(chan struct{})
	go func() { // reads until told to stop, then holds still
		buf := make([]byte, 1)
		var s []byte
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := theirs.Read(buf); err != nil {
				return
			}
			if s = append(s, buf[0]); buf[0] == '>' {
				f.got <- string(s)
				if strings.HasPrefix(string(s), "<enable ") {
					return
				}
				s = nil
			}
		}
	}()
	defer close(stop)
	c, err := connect(t, st, ours, func() {
		f.authenticate(true)
		req := f.until("<iq")
		_, rest, _ := strings.Cut(req[len(req)-1], "id='")
		id, _, _ := strings.Cut(rest, "'")
		f.writef(`<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>receiver@chat.test/relay</jid></bind></iq>`, id)
		f.until("<enable")
		f.write(`<enabled xmlns='urn:xmpp:sm:3' id='st1' resume='true'/>`)
	})
	if err != nil {
		t.Fatal(err)
	}
	c.start()
	c.send("a")
	var ne net.Error
	if e := c.end(); !errors.As(e.Err, &ne) || !ne.Timeout() || len(e.Suspects) != 1 || !e.Resumable {
		t.Errorf("end %+v, want a timeout", e)
	}
}

func TestSingleAndSuspects(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	c.send("poison")
	c.send("b")
	f.until("id='b'")
	_ = f.nc.Close()
	if e := c.end(); !slices.Equal(tags(e.Suspects), []string{"a", "poison", "b"}) {
		t.Fatalf("suspects %v", tags(e.Suspects))
	}
	st.Single(true)
	c, f = mustConnect(t, st, func(f *fake) { f.resume(0) })
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
	f.expect("id='a'")
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	f.expect("id='poison'")
	f.expect("<r ")
	_ = f.nc.Close()
	e := c.end()
	if !slices.Equal(tags(e.Suspects), []string{"poison"}) {
		t.Fatalf("suspects %v, want the poison alone", tags(e.Suspects))
	}
	if err := st.Drop(e.Suspects[0].N); err != nil {
		t.Fatal(err)
	}
	_, f = mustConnect(t, st, func(f *fake) { f.resume(1) })
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	f.expect("id='b'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	n.waitAcked(t, "a", "b")
	n.wait(t, "b bound again", func(b *notes) bool { return b.bound[len(b.bound)-1] == "b@st1:2" })
}

func TestSingleSendWaitsForTheOneBefore(t *testing.T) {
	st := New(Config{}, State{})
	st.Single(true)
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	if _, err := st.trySend(outbound("b"), "b"); !errors.Is(err, errFull) {
		t.Fatalf("trySend: %v", err)
	}
	f.until("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	c.send("b")
	st.Single(false)
	c.send("c")
	f.until("id='c'")
	if err := st.Drop(2); err == nil {
		t.Error("Drop while the link is up")
	}
}

func TestVoidIsRecognised(t *testing.T) {
	for part, want := range map[string]bool{
		`<iq xmlns="jabber:client" id="1" type="result" sm-void="1"></iq>`:            true,
		`<iq xmlns="jabber:client" id="1" type="result"></iq>`:                        false,
		`<iq xmlns="jabber:client" id="1" type="result">sm-void=&#34;1&#34;&gt;</iq>`: false,
		`<message xmlns="jabber:client" id="1" sm-void="1"></message>`:                false,
	} {
		if got := isVoid([]byte(part)); got != want {
			t.Errorf("isVoid(%s) = %v", part, got)
		}
	}
}

// Answers to others' questions take no places of the window, and only so many are kept.
func TestReplies(t *testing.T) {
	st := New(Config{Window: 2}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	reply := []byte("<iq type='result' id='q' to='1001@chat.test/x'/>")
	for range 3 {
		if !c.l.Reply(reply, 3) {
			t.Fatal("not taken")
		}
	}
	if c.l.Reply(reply, 3) {
		t.Error("a fourth was taken")
	}
	if !c.l.Reply(reply, 4) {
		t.Error("no fourth was taken of one who may have four")
	}
	c.send("a")
	c.send("b")
	if _, err := st.trySend(outbound("c"), "c"); !errors.Is(err, errFull) {
		t.Errorf("beyond the window: %v", err)
	}
	f.until("id='b'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='2'/>") // two of the replies
	for deadline := time.Now().Add(waitLimit); st.Unacked() != 4 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if !c.l.Reply(reply, 3) || c.l.Reply(reply, 3) {
		t.Error("want room for one")
	}
	c.l.Close()
	c.end()
	if c.l.Reply(reply, 100) != true { // for whoever resumes
		t.Error("not taken while it can be resumed")
	}
	c, _ = mustConnect(t, st, func(f *fake) {
		f.authenticate(true)
		f.until("<resume ")
		f.write("<failed xmlns='urn:xmpp:sm:3'/>")
		f.bind()
		f.until("<enable ")
		f.write("<enabled xmlns='urn:xmpp:sm:3' id='st2' resume='true'/>")
	})
	if !c.l.Reply(reply, 1) {
		t.Error("those of the old stream count")
	}
}
