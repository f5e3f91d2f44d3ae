package stage

import (
	"context"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
)

// Person is one landline with both its clients, as the web page has them.
type Person struct {
	Name string
	M    *clients.MQTT
	X    *clients.XMPP
	// Sender is a second XMPP login that only sends, and knows what its server has acknowledged (XEP-0198).
	// nil where the plan has none. It is apart from X so that a server that goes away while it is being written
	// to (RST) takes nothing from X that was still to be read.
	Sender *clients.XMPP
}

// Hearer gets what all people's clients hear.
type Hearer interface {
	HearMQTT(inbox string, payload []byte)
	HearXMPP(inbox string, s clients.Stanza)
}

// xmppConfig is how a user logs in.
func xmppConfig(x *servers.XMPP, name string) clients.XMPPConfig {
	return clients.XMPPConfig{Addr: x.Addr, Domain: x.Domain, User: name, Password: x.Password(name)}
}

// newPerson logs the clients of name in.
func newPerson(t *testing.T, m *servers.Mosquitto, x *servers.XMPP, name string, h Hearer, sender bool, rooms ...string) *Person {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	mc, err := clients.DialMQTT(ctx, clients.MQTTConfig{Addr: m.Addr, ClientID: name, Subscribe: []string{Inbox(name)},
		OnMessage: func(_ string, payload []byte) { h.HearMQTT(name, payload) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mc.Close)
	p := &Person{Name: name, M: mc}
	dial := func(cfg clients.XMPPConfig) *clients.XMPP {
		cfg.OnStanza = func(s clients.Stanza) { h.HearXMPP(name, s) }
		c, err := clients.DialXMPP(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	reader := xmppConfig(x, name)
	reader.Rooms = rooms
	p.X = dial(reader)
	if sender {
		cfg := xmppConfig(x, name)
		cfg.Resource, cfg.Quiet, cfg.SM = "sender", true, true
		p.Sender = dial(cfg)
	}
	return p
}
