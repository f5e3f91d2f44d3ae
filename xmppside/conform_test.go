package xmppside

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// TestSuite is the conformance suite against real servers.
func TestSuite(t *testing.T) {
	for _, server := range []struct {
		name string
		make func(testing.TB, servers.XMPPConfig) *servers.XMPP
	}{{"prosody", servers.NewProsody}, {"ejabberd", servers.NewEjabberd}} {
		t.Run(server.name, func(t *testing.T) {
			bridgetest.RunSide(t, func(t *testing.T) bridgetest.SideRig { return rig(t, server.make) })
		})
	}
}

func rig(t *testing.T, server func(testing.TB, servers.XMPPConfig) *servers.XMPP) bridgetest.SideRig {
	x := server(t, servers.XMPPConfig{PlainAllowed: true})
	link := proxy.New(t, x.Addr)
	far := newPerson(t, x, "1001")
	var last atomic.Pointer[Side]
	return bridgetest.SideRig{
		New: func(journal bridge.SideJournal) (bridge.Side, error) {
			cfg := testConfig(x)
			cfg.Addr = link.Addr()
			cfg.Log = zerolog.New(&testLog{tb: t})
			s, err := New(cfg, journal)
			if err == nil {
				s.window = 10 // the suite has few deliveries
				last.Store(s)
			}
			return s, err
		},
		Kind: bridge.KindChat, From: "2001", To: "1001", Near: "2001", Far: "1001",
		Inject: func(bodies ...string) error { return far.says(x.JID("receiver"), bodies...) },
		Hear: func(n int) ([]string, error) {
			got, err := far.find(n, chats)
			var bodies []string
			for _, s := range got {
				bodies = append(bodies, s.Body)
			}
			return bodies, err
		},
		Cut: link.Cut, Refuse: link.Refuse, Start: x.Start,
		Stop: func() error {
			// What Prosody has not read of our acknowledgements it stores for us. That is not what this is about.
			// A stanza may go before an acknowledgement, but once.
			for range 2 {
				if err := last.Load().ping(t.Context()); err != nil {
					return err
				}
			}
			return x.Stop()
		},
		Quiet: []string{"xmppside.(*Side)", "xmppside.(*conn)", "sm.(*Link)"},
	}
}

// ping returns once the server has read all that the side wrote before.
func (s *Side) ping(ctx context.Context) error {
	s.mu.Lock()
	c := s.current
	s.mu.Unlock()
	_, err := c.Ask(ctx, stanza.Domain(s.addr.own), "get", "<ping xmlns='"+stanza.NSPing+"'/>")
	return err
}
