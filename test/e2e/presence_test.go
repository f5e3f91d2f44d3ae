package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/stage"
)

// presence: what a device publishes of itself, a person's client shows.
func (c *chat) presence(t *testing.T, at func(string) string) {
	ctx, cancel := context.WithTimeout(t.Context(), stage.WaitLimit)
	defer cancel()
	var mu sync.Mutex
	last, changed := "", make(chan struct{}, 1)
	x, err := clients.DialXMPP(ctx, clients.XMPPConfig{Addr: c.XMPP.Addr, Domain: c.XMPP.Domain, User: "1001", Password: c.XMPP.Password("1001"), Resource: "list", Quiet: true,
		OnOther: func(s clients.Stanza, inner string) {
			if s.Name == "presence" && strings.HasPrefix(s.From, at("1004")) && (s.Type == "" || s.Type == "unavailable") {
				mu.Lock()
				last = s.Type + inner
				mu.Unlock()
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	shows := func(what string, ok func(string) bool) {
		t.Helper()
		for {
			mu.Lock()
			now := last
			mu.Unlock()
			if now != "" && ok(now) {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				t.Fatalf("never: %s; it is %q", what, now)
			}
		}
	}
	if err := x.Raw("<presence/><presence type='subscribe' to='" + at("1004") + "'/>"); err != nil {
		t.Fatal(err)
	}
	shows("unavailable", func(s string) bool { return strings.HasPrefix(s, "unavailable") })
	before := c.Relay.Status()
	for _, step := range []struct{ says, shown string }{{`{"status":"away"}`, "<show>away</show>"}, {"offline", "unavailable"}} {
		if err := c.Person("1004").M.Publish(ctx, stage.Inbox("1004")+"/status", []byte(step.says), 1); err != nil {
			t.Fatal(err)
		}
		shows(step.says, func(s string) bool { return strings.Contains(s, step.shown) })
	}
	if now := c.Relay.Status(); now.Counts["received"] != before.Counts["received"] {
		t.Errorf("%d messages were counted", now.Counts["received"]-before.Counts["received"])
	}
}
