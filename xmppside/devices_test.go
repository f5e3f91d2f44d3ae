package xmppside

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// reporting is a component whose devices say whether they are there.
func reporting(t *testing.T) *Side {
	t.Helper()
	s := texting(t)
	s.contacts.devices.report = true
	return s
}

// People see a device as it says itself, however fast it changes its mind; of one that says nothing they are not told at once that it is
// gone, as the relay has just started.
func TestPresent(t *testing.T) {
	s := reporting(t)
	now := time.Now()
	for _, l := range []string{"2001", "2002", "2003"} {
		s.contacts.add(subscription{l, "1001@chat.test"}, false)
	}
	told := func() string {
		s.contacts.tellLate(now)
		out := string(s.contacts.next(10))
		out = strings.ReplaceAll(strings.ReplaceAll(out, "@relay.chat.test' to='1001@chat.test'", ""), "<presence from='", "")
		return strings.ReplaceAll(out, "</presence>", "")
	}
	told()
	s.contacts.present("2001", bridge.PresenceOnline, now)
	s.contacts.tellAll(false, now)
	if got := told(); got != "2001>" {
		t.Errorf("at the start: %s", got)
	}
	step := func(d time.Duration, p bridge.Presence, want string) {
		t.Helper()
		now = now.Add(d)
		s.contacts.present("2001", p, now)
		if got := told(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	step(0, bridge.PresenceOnline, "")
	step(time.Second, bridge.PresenceAway, "") // too early
	step(time.Second, bridge.PresenceOffline, "")
	step(4*time.Second, bridge.PresenceAway, "2001><show>away</show>")
	now = now.Add(time.Minute)
	if got := told(); strings.Count(got, "type='unavailable'/>") != 2 || strings.Contains(got, "2001") {
		t.Errorf("of those that have said nothing: %s", got)
	}
	step(time.Minute, bridge.PresenceUnknown, "2001 type='unavailable'/>")
	s.contacts.present("2001", bridge.PresenceUnknown, now)
	if got := told(); got != "" || len(s.contacts.devices.known) != 0 {
		t.Errorf("nothing changed: %s, %d known", got, len(s.contacts.devices.known))
	}
	s.contacts.present("2002", bridge.PresenceOnline, now)
	told()
	s.contacts.tellAll(true, now)
	if got := told(); strings.Count(got, "unavailable") != 3 {
		t.Errorf("when the relay leaves: %s", got)
	}
}

// A flood of devices, or of one device, is told at most as fast as everything else, and forgotten where there are too many.
func TestPresentFlood(t *testing.T) {
	s := reporting(t)
	now := time.Now()
	for i := range 1000 {
		s.contacts.add(subscription{"2001", fmt.Sprintf("p%d@chat.test", i)}, false)
	}
	for len(s.contacts.next(1000)) > 0 {
	}
	stanzas := 0
	for i := range 10_000 { // in 10 s
		now = now.Add(time.Millisecond)
		s.contacts.present("2001", bridge.PresenceOffline+bridge.Presence(i%3), now)
		s.contacts.tellLate(now)
		stanzas += strings.Count(string(s.contacts.next(1000)), "<presence")
	}
	if stanzas > 4000 {
		t.Errorf("10,000 changes of one device are %d stanzas to 1,000 people", stanzas)
	}
	for i := range mostDevices + 10 {
		s.contacts.present(fmt.Sprint("x", i), bridge.PresenceOnline, now)
	}
	if n := len(s.contacts.devices.known); n != mostDevices || len(s.contacts.devices.late) > 1 || len(s.contacts.pending) > 1000 {
		t.Errorf("%d are remembered, %d late, %d to be told", n, len(s.contacts.devices.late), len(s.contacts.pending))
	}
}

// A person's client shows what the device says, over a restart of the relay too.
func TestPresentAtServers(t *testing.T) {
	bothServers(t, withComponent, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		cfg := componentConfig(x)
		cfg.Clients.Texts, cfg.Clients.Presence = true, true
		l := start(t, m, cfg).up(t)
		at := "2002@" + x.Component
		alice := newPerson(t, x, "1001")
		sees := func(want string) {
			t.Helper()
			l.eventually(t, "she sees it "+want, func() bool {
				o := alice.last(func(o other) bool {
					return o.Name == "presence" && strings.HasPrefix(o.From, at) && o.Type != "subscribed"
				})
				return o.Type == want || o.Name != "" && o.Type == "" && strings.Contains(o.inner, ">"+want+"<")
			})
		}
		alice.raw(t, "<presence type='subscribe' to='"+at+"'/>")
		sees("unavailable") // it has said nothing
		l.Present("2002", bridge.PresenceOnline)
		sees("")
		l.Present("2002", bridge.PresenceAway)
		sees("away")
		l.stop()
		sees("unavailable")
		l = start(t, m, cfg)
		l.Present("2002", bridge.PresenceOnline)
		sees("")
		l.Present("2002", bridge.PresenceOffline)
		sees("unavailable")
	})
}
