package clients_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dialMQTT(t *testing.T, cfg clients.MQTTConfig) *clients.MQTT {
	t.Helper()
	c, err := clients.DialMQTT(soon(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func dialXMPP(t *testing.T, x *servers.XMPP, user string, got chan<- clients.Stanza, rooms ...string) *clients.XMPP {
	t.Helper()
	c, err := clients.DialXMPP(soon(t), clients.XMPPConfig{Addr: x.Addr, Domain: x.Domain, User: user,
		Password: x.Password(user), Rooms: rooms, OnStanza: func(s clients.Stanza) { got <- s }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// next waits for a stanza.
func next(t *testing.T, got <-chan clients.Stanza) clients.Stanza {
	t.Helper()
	for {
		select {
		case s := <-got:
			if s.Type != "groupchat" || s.HasBody { // not the room's subject
				return s
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no stanza came")
		}
	}
}

// The MQTT client stays exactly-once and in order over cuts of both its connections.
func TestMQTTIsExactlyOnceOverCuts(t *testing.T) {
	const n, writers = 400, 4
	m := servers.NewMosquitto(t, servers.MosquittoConfig{})
	p := proxy.New(t, m.Addr)
	got := make(chan string, 2*n*writers)
	in := dialMQTT(t, clients.MQTTConfig{Addr: p.Addr(), ClientID: "in", Subscribe: []string{"a/#"},
		OnMessage: func(topic string, b []byte) { got <- topic + " " + string(b) }})
	out := dialMQTT(t, clients.MQTTConfig{Addr: p.Addr(), ClientID: "out"})
	ended := make(chan error, writers)
	for w := range writers {
		go func() { // ends with its last publish
			for i := range n {
				if w == 0 && i%40 == 20 {
					p.Cut()
				}
				if err := out.Publish(soon(t), fmt.Sprintf("a/%d", w), fmt.Append(nil, i), 2); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range writers {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for range n * writers {
		select {
		case m := <-got:
			var topic string
			var i int
			if _, err := fmt.Sscanf(m, "%s %d", &topic, &i); err != nil {
				t.Fatal(err)
			}
			if counts[topic] != i {
				t.Fatalf("%s: got %d, want %d", topic, i, counts[topic])
			}
			counts[topic]++
		case <-time.After(10 * time.Second):
			t.Fatalf("only %v came", counts)
		}
	}
	if p.Accepted() < 6 {
		t.Errorf("%d connections: the cuts did not cut", p.Accepted())
	}
}

func TestXMPPClient(t *testing.T) {
	for _, start := range []func(testing.TB, servers.XMPPConfig) *servers.XMPP{servers.NewProsody, servers.NewEjabberd} {
		x := start(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"team"}})
		t.Run(x.Name, func(t *testing.T) {
			ch1, ch2 := make(chan clients.Stanza, 16), make(chan clients.Stanza, 16)
			room := x.Room("team")
			a, b := dialXMPP(t, x, "1001", ch1, room), dialXMPP(t, x, "1002", ch2, room)
			const body = "<&>\"' \n €😀"
			if err := a.Send(x.JID("1002"), "chat", "i1", body); err != nil {
				t.Fatal(err)
			}
			if s := next(t, ch2); s.Body != body || s.From != x.JID("1001")+"/test" || s.ID != "i1" {
				t.Errorf("got %+v", s)
			}
			if err := b.Send(room, "groupchat", "i2", "all"); err != nil {
				t.Fatal(err)
			}
			if s := next(t, ch1); s.Body != "all" || s.From != room+"/1002" {
				t.Errorf("got %+v", s)
			}
			if err := a.Send("nobody@"+x.Domain, "chat", "i3", "x"); err != nil {
				t.Fatal(err)
			}
			if s := next(t, ch1); s.Type != "error" || s.Condition != "service-unavailable" {
				t.Errorf("got %+v", s)
			}
			x.Stop()
			x.Start()
			if err := a.Ready(soon(t)); err != nil {
				t.Fatal(err)
			}
			if a.Logins() != 2 {
				t.Errorf("%d logins", a.Logins())
			}
		})
	}
}
