package clients_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// What was not acknowledged when a connection ended is sent again, in order: nothing is lost, and what comes
// twice comes as a repetition. The archive has it all.
func TestDeliverOverCuts(t *testing.T) {
	const n = 1500
	for name, start := range map[string]func(testing.TB, servers.XMPPConfig) *servers.XMPP{"prosody": servers.NewProsody, "ejabberd": servers.NewEjabberd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := start(t, servers.XMPPConfig{PlainAllowed: true, MAM: true})
			got := make(chan clients.Stanza, 2*n)
			dialXMPP(t, x, "1002", got)
			p := proxy.New(t, x.Addr)
			cfg := clients.XMPPConfig{Addr: p.Addr(), Domain: x.Domain, User: "1001", Password: x.Password("1001"), Quiet: true, SM: true}
			s, err := clients.DialXMPP(soon(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			var taken sync.WaitGroup
			for i := range n {
				taken.Add(1)
				s.Deliver(x.JID("1002"), "chat", fmt.Sprint(i), fmt.Sprint(i), taken.Done)
				if i%500 == 250 {
					p.Cut()
				}
				time.Sleep(time.Millisecond) // a load, not a burst
			}
			taken.Wait()
			last, seen := -1, map[string]bool{}
			for len(seen) < n {
				m := next(t, got)
				if seen[m.Body] {
					continue
				}
				seen[m.Body] = true
				if m.Body != fmt.Sprint(last+1) {
					t.Fatalf("%s came after %d", m.Body, last)
				}
				last++
			}
			cfg.Addr, cfg.User, cfg.Password = x.Addr, "1002", x.Password("1002")
			all, err := clients.Archive(soon(t), cfg)
			if err != nil || len(all) < n || all[0].Archived == "" {
				t.Errorf("archive of %d, %v", len(all), err)
			}
			t.Logf("repeated %d, archived %d", s.Repeated(), len(all))
		})
	}
}
