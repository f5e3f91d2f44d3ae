package mqttside

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestSuite is the conformance suite against a real broker, as it comes.
func TestSuite(t *testing.T) {
	for _, version := range []byte{3, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) { suite(t, version) })
	}
}

func suite(t *testing.T, version byte) {
	bridgetest.RunSide(t, func(t *testing.T) bridgetest.SideRig {
		broker := servers.NewMosquitto(t, servers.MosquittoConfig{Persistence: true})
		link := proxy.New(t, broker.Addr)
		far := newPerson(t, broker.URL, "far", "/chat/2001")
		return bridgetest.SideRig{
			New: func(journal bridge.SideJournal) (bridge.Side, error) {
				cfg := testConfig(t, "tcp://"+link.Addr())
				cfg.Version = version
				return New(cfg, journal)
			},
			Kind: bridge.KindInbox, From: "1001", To: "2001", Near: "1001", Far: "2001",
			Inject: func(bodies ...string) error {
				for _, b := range bodies {
					far.says(t, "/chat/1001", b)
				}
				return nil
			},
			Hear: func(n int) ([]string, error) {
				got, err := far.await(n)
				for i := range got {
					got[i] = strings.TrimPrefix(got[i], "/chat/2001 ")
				}
				return got, err
			},
			Cut: link.Cut, Refuse: link.Refuse, Stop: broker.Stop,
			Start: func() error {
				if err := broker.Start(); err != nil {
					return err
				}
				return far.back() // what it says before that would be out of order
			},
			Redelivers: true,
			Quiet:      []string{"mqttside.(*Side)", "session.(*Conn)"},
		}
	})
}
