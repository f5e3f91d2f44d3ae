package session

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"
)

// TestBarrier decides tickets one by one: one commit may fail between two that succeed.
func TestBarrier(t *testing.T) {
	errDisk := errors.New("disk full")
	tests := []struct {
		name   string
		failed uint64
		steps  []any // a ticket to raise, or a payload to send
		want   string
		ends   bool
	}{
		{"all committed", 0, []any{uint64(1), "1", uint64(2), "2", "3"}, "123", false},
		{"none needed", 1, []any{"1"}, "1", false},
		{"the first fails", 1, []any{uint64(1), "1", uint64(2), "2"}, "", true},
		{"the middle one fails", 2, []any{uint64(1), "1", uint64(2), "2", uint64(3), "3"}, "1", true},
		{"a failed one hides behind a newer one", 1, []any{uint64(1), uint64(2), "1"}, "", true},
		{"raised out of order", 1, []any{uint64(2), "2", uint64(1), "1"}, "2", true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newFakeJournal()
				c, f := logIn(t, &user{}, false)
				New(j).Resume(c, StateGone, false, 0)
				j.hold(true) // all is in line before anything is decided
				for _, s := range tc.steps {
					switch v := s.(type) {
					case uint64:
						c.Raise(v)
					case string:
						if err := c.Publish("t", []byte(v), false); err != nil {
							t.Fatal(err)
						}
					}
				}
				c.Start()
				synctest.Wait()
				if tc.failed > 0 {
					j.fail(tc.failed, errDisk)
				}
				j.hold(false)
				got := ""
				for range tc.want {
					got += string(f.reads().(*packets.PublishPacket).Payload)
				}
				if got != tc.want {
					t.Errorf("left: %s, want %s", got, tc.want)
				}
				synctest.Wait()
				if err := c.Reason(); tc.ends != errors.Is(err, ErrJournal) || tc.ends && !errors.Is(err, errDisk) {
					t.Errorf("closed with %v", err)
				}
				if tc.ends && f.reads() != nil {
					t.Error("something left although its commit failed")
				}
				f.leave(c)
			})
		})
	}
}

// TestBarrierInTime: a commit that does not come ends the connection: pings would wait behind it.
func TestBarrierInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		c, f := logIn(t, &user{}, false)
		New(j).Resume(c, StateGone, false, 0)
		j.hold(true)
		c.Start()
		c.Raise(1)
		began := time.Now()
		if err := c.Publish("t", nil, false); err != nil {
			t.Fatal(err)
		}
		<-c.Closed()
		if d := time.Since(began); d > pingTimeout/2 || !errors.Is(c.Reason(), ErrJournal) || c.Lost() {
			t.Errorf("after %v: %v, theirs %v", d, c.Reason(), c.Lost())
		}
		f.leave(c)
	})
}

// TestFrames holds what is read against what a broker sent.
func TestFrames(t *testing.T) {
	long := "0\x83\x01\x00\x01t" + strings.Repeat("x", 128) // a PUBLISH of 131 bytes
	tests := []struct {
		name, sent string
		want       []string // topics and lengths of payloads
		err        string   // empty: the end
	}{
		{"messages", "\x30\x04\x00\x01tx\x30\x03\x00\x01u", []string{"t 1", "u 0"}, ""},
		{"every acknowledgement, of nothing that we know", "\x40\x02\x00\x01\x70\x02\x00\x01\xd0\x00\x90\x03\x00\x01\x80\xb0\x02\x00\x01\x30\x03\x00\x01t", []string{"t 0"}, ""},
		{"an oversize PUBLISH is cut", long + "\x30\x03\x00\x01u", []string{"t 97", "u 0"}, ""},
		{"an acknowledgement that is too long", "\x40\x03\x00\x01\x00", nil, "malformed packet"},
		{"SUBACK for more than was asked", "\x90\x04\x00\x01\x02\x02", nil, "malformed SUBACK"},
		{"a long packet that is no PUBLISH", "\xd0\x80\x10", nil, "packet of type 13"},
		{"a second CONNACK", "\x20\x02\x00\x00", nil, "breaks MQTT: a second CONNACK"},
		{"a kind that is none", "\x00\x00", nil, "breaks MQTT: a packet of type 0"},
		{"a kind that clients send", "\xc0\x00", nil, "breaks MQTT: a packet of type 12"},
		{"QoS 3", "\x36\x05\x00\x01t\x00\x01", nil, "breaks MQTT: a PUBLISH of QoS 3"},
		{"the packet id 0", "\x34\x05\x00\x01t\x00\x00", nil, "breaks MQTT: a PUBLISH with the packet id 0"},
		{"a topic beyond the packet", "\x30\x03\x00\x09t", nil, "breaks MQTT: a malformed PUBLISH"},
		{"a length without end", "\x30\xff\xff\xff\xff\x01", nil, "malformed length"},
		{"a length that lies", "\x30\xff\xff\xff\x7fxxx", nil, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			u := &user{}
			c, f := logIn(t, u, false)
			c.Start()
			if _, err := io.WriteString(f.conn, tc.sent); err != nil && tc.err == "" {
				t.Error(err)
			}
			if tc.err == "" {
				_ = f.conn.Close()
			}
			<-c.Closed()
			c.Join()
			want := tc.err
			if want == "" {
				want = "EOF"
			}
			if err := c.Reason(); !strings.Contains(err.Error(), want) || c.Lost() != (tc.err == "") || errors.As(err, new(Breach)) == c.Lost() {
				t.Errorf("closed with %v, theirs %v; want %s", err, c.Lost(), want)
			}
			var got []string
			for _, p := range u.got {
				got = append(got, p.Topic+" "+string(rune('0'+len(p.Payload)%100/10))+string(rune('0'+len(p.Payload)%10)))
			}
			for i := range got {
				got[i] = strings.Replace(got[i], " 0", " ", 1)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestLogin is how CONNECT is answered.
func TestLogin(t *testing.T) {
	tests := []struct {
		name, answer string
		present      bool
		code         byte
		breach       bool
	}{
		{"accepted", "\x20\x02\x00\x00", false, 0, false},
		{"with a session", "\x20\x02\x01\x00", true, 0, false},
		{"refused", "\x20\x02\x00\x05", false, 5, false},
		{"an unknown code", "\x20\x02\x00\x80", false, 0x80, false},
		{"as MQTT 5 does", "\x20\x03\x00\x84\x00", false, 0x84, false},
		{"too long", "\x20\x03\x00\x00\x00", false, 0, true},
		{"too short", "\x20\x01\x00", false, 0, true},
		{"something else", "\x40\x02\x00\x01", false, 0, true},
		{"hung up", "", false, 0, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			near, end := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = packets.ReadPacket(end)
				_, _ = io.WriteString(end, tc.answer)
				if tc.answer == "" {
					_ = end.Close()
				}
			}()
			defer end.Close()
			c, err := Login(t.Context(), near, Options{Level: Level3Bridge, ClientID: "c", Handler: &user{}})
			<-done
			if err == nil {
				if tc.code != 0 || tc.breach || tc.answer == "" || c.Present != tc.present {
					t.Errorf("let in, session %v", c.Present)
				}
				c.Close(errTest)
				return
			}
			var r Refused
			if errors.As(err, &r); r.Code != tc.code || errors.As(err, new(Breach)) != tc.breach || tc.present {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestLoginInTime: no CONNACK, or a context that ends.
func TestLoginInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, end := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, end) }()
		began := time.Now()
		_, err := Login(t.Context(), near, Options{Level: Level3, ClientID: "c"})
		if took := time.Since(began); took != loginTimeout || err == nil || !timedOut(err) {
			t.Errorf("after %v: %v", took, err)
		}
		_ = end.Close()
	})
}

// TestKeepAlive: where nothing passes pings go out, and a broker that answers none is left. One that sends other things,
// or whose messages the user does not take in, is not.
func TestKeepAlive(t *testing.T) {
	tests := []struct {
		name     string
		answers  bool
		sends    bool          // something else, all the time
		held     time.Duration // the user takes so long over one
		ends     time.Duration // after which; 0: it does not within a minute
		wantPing bool
	}{
		{"answers", true, false, 0, 0, true},
		{"silent", false, false, 0, KeepAlive + pingTimeout + checkEvery, true},
		{"sends, and answers nothing", false, true, 0, 0, true},
		{"held up by us", false, false, 40 * time.Second, 40*time.Second + pingTimeout + checkEvery, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &user{received: func(*Publish) { time.Sleep(tc.held) }}
				c, f := logIn(t, u, false)
				c.Start()
				began := time.Now()
				pings := 0
				go func() { // ends with far
					for p := f.reads(); p != nil; p = f.reads() {
						if pings++; tc.answers {
							f.says(packets.NewControlPacket(packets.Pingresp))
						}
					}
				}()
				if tc.held > 0 {
					f.publishes(Publish{Topic: "t"})
				}
				var sender sync.WaitGroup
				sender.Go(func() {
					for tc.sends {
						if _, err := f.conn.Write([]byte("\x30\x03\x00\x01t")); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				})
				select {
				case <-c.Closed():
				case <-time.After(time.Minute):
				}
				took := time.Since(began)
				if tc.ends == 0 && c.Reason() != nil || tc.ends > 0 && (!errors.Is(c.Reason(), ErrSilent) || took > tc.ends || took < tc.held) {
					t.Errorf("after %v: %v", took, c.Reason())
				}
				f.leave(c)
				sender.Wait()
				synctest.Wait()
				if pings == 0 || pings > 7 {
					t.Errorf("%d pings", pings)
				}
			})
		})
	}
}

// TestDisconnect: what was written goes first, and the broker that closes at once does not make it a loss.
func TestDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn(t, &user{}, false)
		c.Start()
		if err := c.Publish("t", nil, false); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); c.Disconnect(Parting{Why: errTest, Linger: time.Second}) }()
		f.wants(want{0, kindPublish}, want{0, kindDisconnect})
		_ = f.conn.Close()
		<-done
		if c.Reason() != errTest || c.Lost() {
			t.Errorf("closed with %v, theirs %v", c.Reason(), c.Lost())
		}
	})
}

// TestFence waits for the answer to its own ping.
func TestFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn(t, &user{}, false)
		c.Start()
		fenced := make(chan error, 2)
		for range 2 {
			go func() { fenced <- c.Fence(t.Context()) }()
		}
		f.wants(want{0, kindPingreq}, want{0, kindPingreq})
		f.says(packets.NewControlPacket(packets.Pingresp))
		synctest.Wait()
		if len(fenced) != 1 {
			t.Errorf("%d are through", len(fenced))
		}
		f.leave(c)
		if err := <-fenced; err != nil {
			t.Errorf("got %v", err)
		}
		if err := <-fenced; err != errTest {
			t.Errorf("a closed connection gives %v", err)
		}
	})
}

// TestSubscribe: answers find who asked, and requests never take a message's packet id.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn(t, &user{}, false)
		c.Start()
		one, err1 := c.Subscribe(Filter{Topic: "a/+", QoS: 2})
		two, err2 := c.Subscribe(Filter{Topic: "b/+", QoS: 1})
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		f.wants(want{firstRequest, kindSubscribe}, want{firstRequest + 1, kindSubscribe})
		for i, code := range []byte{0x80, 1} {
			a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			a.MessageID, a.ReturnCodes = uint16(firstRequest+1-i), []byte{code}
			f.says(a)
		}
		if a, b := <-one, <-two; a[0] != 1 || b[0] != 0x80 {
			t.Errorf("answers %v and %v", a, b)
		}
		f.leave(c)
	})
}

// TestExchange: a filter is taken back and asked for anew in one write.
func TestExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn(t, &user{}, true)
		c.Start()
		answer, err := c.Exchange("a/+", Filter{Topic: "a/+", QoS: 2})
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, err := f.conn.Read(b)
		if want := "\xa2\x07\xff\x00\x00\x03a/+\x82\x08\xff\x01\x00\x03a/+\x02"; err != nil || string(b[:n]) != want {
			t.Errorf("wrote %q, %v; want %q", b[:n], err, want)
		}
		if _, err := f.conn.Write([]byte("\xb0\x02\xff\x00\x90\x03\xff\x01\x02")); err != nil {
			t.Error(err)
		}
		if codes := <-answer; len(codes) != 1 || codes[0] != 2 {
			t.Errorf("answered by %v", codes)
		}
	})
}
