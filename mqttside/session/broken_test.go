package session

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// An answer of another kind than was asked for ends the connection, and answers nothing.
func TestOtherAnswer(t *testing.T) {
	for name, ask := range map[string]func(*Conn) (<-chan []byte, error){
		"\xb0\x02\xff\x00":     func(c *Conn) (<-chan []byte, error) { return c.Subscribe(Filter{Topic: "a/+", QoS: 2}) },
		"\x90\x03\xff\x00\x01": func(c *Conn) (<-chan []byte, error) { return c.Exchange("a/+", Filter{}) },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, f := logIn(t, &user{}, false)
			c.Start()
			answer, err := ask(c)
			if err != nil {
				t.Fatal(err)
			}
			f.reads()
			_, _ = f.conn.Write([]byte(name)) // the connection ends over it
			<-c.Closed()
			if !errors.As(c.Reason(), new(Breach)) || len(answer) > 0 {
				t.Errorf("%v, %d answers", c.Reason(), len(answer))
			}
		})
	}
}

// A Conn that has no session acknowledges nothing: a packet id may be in the journal of whose session it is.
func TestWithoutSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn(t, &user{}, true)
		c.Start()
		f.acks(kindPubrel, 7)
		f.publishes(Publish{Topic: "t", QoS: 2, PacketID: 8})
		f.silence(2 * time.Second)
		if c.Holds() {
			t.Error("it holds something")
		}
	})
}

// Nothing follows DISCONNECT (MQTT-3.14.4-1), and the journal is told of nothing that does not leave.
func TestBehindDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f, _ := begun(t, j)
		done := make(chan struct{})
		go func() { defer close(done); c.Disconnect(Parting{Why: errTest, Linger: time.Second}) }()
		synctest.Wait()
		if s.Send(c, message(1, 1)) || len(j.bound) > 0 {
			t.Error("a message was taken")
		}
		f.wants(want{0, kindDisconnect})
		f.silence(500 * time.Millisecond)
		<-done
	})
}

// While something comes and PINGRESP does not, what the broker hears of us keeps its keep alive (MQTT-3.1.2-24).
func TestPingsBehindABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn(t, &user{}, false)
		c.Start()
		go func() { // ends with far
			for {
				if _, err := f.conn.Write([]byte("\x30\x03\x00\x01t")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		for range 12 {
			if err := f.conn.SetReadDeadline(time.Now().Add(KeepAlive * 3 / 2)); err != nil {
				t.Fatal(err)
			}
			if f.reads() == nil {
				t.Fatalf("nothing came: %v", c.Reason())
			}
		}
		f.leave(c)
		synctest.Wait()
		time.Sleep(time.Second)
	})
}

// A broker that reads nothing is noticed in seconds, however much waits for it.
func TestNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := logIn(t, &user{}, false)
		for range 2000 {
			if err := c.Publish("t", bytes.Repeat([]byte{'x'}, 1000), false); err != nil {
				t.Fatal(err)
			}
		}
		c.Start()
		began := time.Now()
		<-c.Closed()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("after %v: %v", took, c.Reason())
		}
	})
}
