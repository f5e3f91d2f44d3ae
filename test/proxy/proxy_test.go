package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// target is a server that hands its connections to the test.
func target(t *testing.T) (addr string, conns <-chan net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ch := make(chan net.Conn, 16) // more than any test opens
	go func() {                   // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			ch <- c
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String(), ch
}

// pair opens one connection through p and returns both its ends.
func pair(t *testing.T, p *Proxy, conns <-chan net.Conn) (client, server net.Conn) {
	t.Helper()
	client = open(t, p)
	select {
	case server = <-conns:
	case <-time.After(5 * time.Second):
		t.Fatal("the target saw no connection")
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func open(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
		t.Fatalf("heard %q, %v; want %q", buf[:n], err, want)
	}
}

// silent wants nothing to come for a while: neither bytes nor an end.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d, %v; want silence", n, err)
	}
}

// ended returns how reading ends.
func ended(t *testing.T, c net.Conn) error {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection did not end")
	}
	return err
}

func wantReset(t *testing.T, conns ...net.Conn) {
	t.Helper()
	for _, c := range conns {
		if err := ended(t, c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ended with %v, want a reset", err)
		}
	}
}

// wantRefused wants a new connection to be reset: after the dial, or so soon that the dial sees it.
func wantRefused(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer c.Close()
		wantReset(t, c)
		return
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("dial: %v, want a reset", err)
	}
}

func TestCarriesBothWays(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	say(t, c, "hello")
	hear(t, s, "hello")
	say(t, s, "hi")
	hear(t, c, "hi")
	if p.Accepted() != 1 || p.Open() != 1 {
		t.Errorf("accepted %d, open %d", p.Accepted(), p.Open())
	}
}

func TestPassesEndsOnAsTheyWere(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := ended(t, s); err != nil {
		t.Errorf("the target saw %v, want an end", err)
	}
	say(t, s, "still") // the other way goes on
	hear(t, c, "still")

	c, s = pair(t, p, conns)
	reset(s.(*net.TCPConn))
	wantReset(t, c)
}

func TestCutResetsBothSides(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	say(t, c, "x")
	hear(t, s, "x")
	p.Cut()
	wantReset(t, c, s)
	c, s = pair(t, p, conns)
	say(t, c, "again")
	hear(t, s, "again")
}

func TestRefuse(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	p.Refuse(true)
	wantRefused(t, p)
	p.Refuse(false)
	c, s := pair(t, p, conns)
	say(t, c, "x")
	hear(t, s, "x")
}

func TestTargetThatIsDown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := New(t, ln.Addr().String())
	ln.Close()
	wantRefused(t, p)
}

func TestBlackhole(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	p.Blackhole(true)
	say(t, c, "lost")
	say(t, s, "lost")
	silent(t, c)
	silent(t, s)
	fresh := open(t, p)
	say(t, fresh, "anybody?")
	silent(t, fresh)
	select {
	case <-conns:
		t.Error("a connection went through the black hole")
	default:
	}
	p.Blackhole(false)
	wantReset(t, c, fresh)
	c, s = pair(t, p, conns)
	say(t, c, "back")
	hear(t, s, "back")
}

func TestBlackholeHidesAnEnd(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	p.Blackhole(true)
	s.Close()
	silent(t, c)
}

func TestStallHoldsOneWay(t *testing.T) {
	for _, d := range []Direction{Up, Down} {
		t.Run(d.String(), func(t *testing.T) {
			addr, conns := target(t)
			p := New(t, addr)
			c, s := pair(t, p, conns)
			from, to := c, s
			if d == Down {
				from, to = s, c
			}
			p.Stall(d, true)
			say(t, from, "held")
			silent(t, to)
			say(t, to, "free")
			hear(t, from, "free")
			p.Stall(d, false)
			hear(t, to, "held")
		})
	}
}

func TestCutReachesAStalledLink(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	p.Stall(Up, true)
	say(t, c, "held")
	p.Cut()
	wantReset(t, c, s)
}

func TestHalfOpen(t *testing.T) {
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	p.HalfOpen()
	wantReset(t, s)
	say(t, c, "anybody?")
	silent(t, c)
	c2, s2 := pair(t, p, conns)
	say(t, c2, "new")
	hear(t, s2, "new")
	c.Close()
	eventually(t, "the half-open link is forgotten", func() bool { return p.Open() == 1 })
}

func TestDelayKeepsOrder(t *testing.T) {
	const delay = 50 * time.Millisecond
	addr, conns := target(t)
	p := New(t, addr)
	c, s := pair(t, p, conns)
	p.Delay(delay)
	t0 := time.Now()
	say(t, c, "one")
	say(t, c, "two")
	hear(t, s, "onetwo")
	if took := time.Since(t0); took < delay {
		t.Errorf("there after %v, want at least %v", took, delay)
	}
}

func TestCloseEndsAll(t *testing.T) {
	addr, conns := target(t)
	p, err := Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	c, s := pair(t, p, conns)
	p.HalfOpen()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	wantReset(t, c, s)
	if p.Open() != 0 {
		t.Errorf("%d links are left", p.Open())
	}
	if _, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Error("it still listens")
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(5 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

// Packets of the MQTT tests.
const (
	publish0 = "\x30\x05\x00\x01ahi"
	publish2 = "\x3c\x07\x00\x01a\x01\x02hi" // QoS 2, dup, id 0x0102
	pubrel   = "\x62\x02\x01\x02"
	ping     = "\xc0\x00"
)

func TestMQTTPackets(t *testing.T) {
	addr, conns := target(t)
	seen := make(chan Packet, 8)
	p := NewMQTT(t, addr, func(p Packet) Verdict { seen <- p; return Pass })
	c, s := pair(t, p, conns)
	for _, test := range []struct {
		raw  string
		want Packet
		qos  byte
		dup  bool
	}{
		{publish0, Packet{Type: PUBLISH, Topic: "a", Payload: []byte("hi")}, 0, false},
		{publish2, Packet{Type: PUBLISH, ID: 0x102, Topic: "a", Payload: []byte("hi")}, 2, true},
		{pubrel, Packet{Type: PUBREL, ID: 0x102}, 0, false},
		{ping, Packet{Type: PINGREQ}, 0, false},
		{"\x30\x01x", Packet{Type: PUBLISH}, 0, false}, // malformed inside: passed as it is
	} {
		say(t, c, test.raw)
		hear(t, s, test.raw)
		got := <-seen
		if got.Type != test.want.Type || got.ID != test.want.ID || got.Topic != test.want.Topic ||
			string(got.Payload) != string(test.want.Payload) || got.Conn != 1 || got.Dir != Up || string(got.Raw) != test.raw {
			t.Errorf("%q: got %+v, want %+v", test.raw, got, test.want)
		}
		if got.Type == PUBLISH && (got.QoS() != test.qos || got.Dup() != test.dup) {
			t.Errorf("%q: QoS %d, dup %t", test.raw, got.QoS(), got.Dup())
		}
	}
	say(t, s, ping)
	hear(t, c, ping)
	if got := <-seen; got.Dir != Down {
		t.Errorf("from the target: %v", got.Dir)
	}
}

func TestMQTTVerdicts(t *testing.T) {
	for _, test := range []struct {
		name    string
		verdict Verdict
		want    string
		cut     bool
	}{
		{"pass", Pass, publish0 + pubrel + ping, false},
		{"drop", Drop, publish0 + ping, false},
		{"cut before", CutBefore, publish0, true},
		{"cut after", CutAfter, publish0 + pubrel, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr, conns := target(t)
			p := NewMQTT(t, addr, func(p Packet) Verdict {
				if p.Type == PUBREL {
					return test.verdict
				}
				return Pass
			})
			c, s := pair(t, p, conns)
			say(t, c, publish0)
			hear(t, s, publish0)
			say(t, c, pubrel+ping)
			hear(t, s, test.want[len(publish0):])
			if !test.cut {
				silent(t, s)
				return
			}
			if n, _ := s.Read(make([]byte, 1)); n != 0 {
				t.Error("bytes came after the cut")
			}
			wantReset(t, c)
		})
	}
}

func TestMQTTMalformedLengthEndsIt(t *testing.T) {
	addr, conns := target(t)
	p := NewMQTT(t, addr, func(Packet) Verdict { return Pass })
	c, s := pair(t, p, conns)
	say(t, c, "\x30\xff\xff\xff\xff\x01")
	wantReset(t, c, s)
}

func TestReadPacketLengths(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 70000} {
		raw := []byte{0x30}
		for rest := n; ; {
			b := byte(rest & 0x7f)
			if rest >>= 7; rest > 0 {
				b |= 0x80
			}
			raw = append(raw, b)
			if rest == 0 {
				break
			}
		}
		raw = append(raw, make([]byte, n)...)
		r, w := net.Pipe()
		go func() { _, _ = w.Write(raw); w.Close() }() // ends with the pipe
		got, body, err := readPacket(bufio.NewReader(r))
		if err != nil || len(got) != len(raw) || len(got)-body != n {
			t.Errorf("%d: %d bytes, body at %d, %v", n, len(got), body, err)
		}
		r.Close()
	}
}
