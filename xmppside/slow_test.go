package xmppside

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
	"chatrelay/xmppside/mam"
)

// slowArchive is a module for Prosody with which each page of an archive takes a second, until somebody says "live"; all else goes
// on meanwhile.
const slowArchive = `
local waited, open = setmetatable({}, { __mode = "k" }), false;
local name = "iq-set/self/urn:xmpp:mam:2:query";
module:hook(name, function(event)
	if open or waited[event.stanza] then return; end
	waited[event.stanza] = true;
	module:log("info", "a page is asked for");
	module:add_timer(1, function() pcall(module.fire_event, module, name, event); end); -- who asked may have gone
	return true;
end, 100);
module:hook("pre-message/bare", function(event)
	open = open or event.stanza:get_child_text("body") == "live";
end);
`

// A long archive that is slow holds up what comes, which stays in order, and not what goes out.
func TestSlowArchive(t *testing.T) {
	cfg := archiving()
	cfg.Plugin = slowArchive
	x := servers.NewProsody(t, cfg)
	m := bridgetest.NewMemory(t)
	c := testConfig(x)
	alice := newPerson(t, x, "1001")
	l := start(t, m, c).up(t)
	want := []string{"hello"}
	if err := alice.says(c.JID, want...); err != nil {
		t.Fatal(err)
	}
	l.takes(t, 1)
	l.stop()
	away := numbered("away", 400) // nine pages
	if err := alice.says(c.JID, away...); err != nil {
		t.Fatal(err)
	}
	if err := alice.sync(); err != nil {
		t.Fatal(err)
	}
	d := m.SideJournal()
	l = startWith(t, m, c, d, d, func(s *Side) { s.archive.Timeout = time.Second })
	m.Add(bridge.KindChat, "2001", "1001", "out")
	alice.must(t, 1, chats)
	if slices.Contains(fresh(m.Taken()), away[len(away)-1]) {
		t.Error("what goes out has waited for the whole archive")
	}
	if err := alice.says(c.JID, "live"); err != nil {
		t.Fatal(err)
	}
	want = append(append(want, away...), "live")
	l.eventually(t, "all", func() bool { return slices.Contains(fresh(m.Taken()), "live") })
	if got := fresh(m.Taken()); !slices.Equal(got, want) {
		t.Errorf("got %d of %d: %v", len(got), len(want), got)
	}
	m.Until(t, "closed", bridgetest.AllClosed)
}

// Where an archive ends is asked the less often, the longer the answer takes.
func TestSlowArchiveIsSpared(t *testing.T) {
	cfg := archiving()
	cfg.Plugin = slowArchive
	x := servers.NewProsody(t, cfg)
	m := bridgetest.NewMemory(t)
	alice := newPerson(t, x, "1001")
	l := start(t, m, testConfig(x)).up(t)
	const asked = "a page is asked for"
	before := strings.Count(x.Log(), asked)
	for n := range 2 {
		for i := range mam.AdvanceAfter {
			m.Add(bridge.KindChat, "2001", "1001", fmt.Sprintf("out-%d-%d", n, i))
		}
		alice.must(t, (n+1)*mam.AdvanceAfter, chats)
		time.Sleep(2 * mam.AdvanceEvery) // enough for one to be due
	}
	if n := strings.Count(x.Log(), asked) - before; n != 1 {
		t.Errorf("asked %d times", n)
	}
	l.stop()
}
