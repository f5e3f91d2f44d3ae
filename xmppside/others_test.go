package xmppside

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/xmppside/mam"
)

// owner is another client of the relay's account.
func owner(t *testing.T, x *servers.XMPP, priority int) *person {
	t.Helper()
	p := newPerson(t, x, "receiver")
	if err := p.Raw(fmt.Sprintf("<presence><priority>%d</priority></presence>", priority)); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOtherClients shares a server of each kind: starting it costs more than all of this.
func TestOtherClients(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		for name, f := range map[string]func(*testing.T, *servers.XMPP){
			"lower": lowerClient, "rival": rivalClient, "rival after a resumption": resumedRival, "two relays": twoRelays,
		} {
			t.Run(name, func(t *testing.T) { f(t, x) })
		}
	})
}

// Another client of the account gets nothing as long as its priority is lower, be it never so high.
func lowerClient(t *testing.T, x *servers.XMPP) {
	l := start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
	other := owner(t, x, 126)
	l.eventually(t, "it is seen", func() bool { return l.others.known126() })
	alice := newPerson(t, x, "1001")
	want := numbered("talk", 20)
	if err := alice.says(l.cfg.JID, want...); err != nil {
		t.Fatal(err)
	}
	l.eventually(t, "all", func() bool { return len(fresh(l.m.Taken())) >= len(want) })
	if got := fresh(l.m.Taken()); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	if slices.ContainsFunc(other.got, chats) {
		t.Errorf("the other client got %+v", other.got)
	}
	if n := l.log.count("takes no messages") + l.log.count("as high as ours"); n != 0 {
		t.Error("a client that takes nothing is spoken of")
	}
}

func (o *others) known126() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return cmp.Equal(o.known.Priority, map[string]int{"test": 126})
}

// A client with a priority as high as ours is named, and what went to it is fetched from the archive, however much has
// come to us since.
func rivalClient(t *testing.T, x *servers.XMPP) {
	l := start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
	alice := newPerson(t, x, "1001")
	if err := alice.says(l.cfg.JID, "before"); err != nil {
		t.Fatal(err)
	}
	l.takes(t, 1)
	other := owner(t, x, ownPriority)
	l.eventually(t, "it is named", func() bool { return l.log.count("priority as high as ours") == 1 })
	if err := alice.says(l.cfg.JID+"/test", "taken"); err != nil { // as servers may do with what is for the bare JID
		t.Fatal(err)
	}
	other.must(t, 1, func(s clients.Stanza) bool { return s.Body == "taken" })
	since := numbered("since", 3*mam.Overlap) // the cursor would be past it
	if err := alice.says(l.cfg.JID, since...); err != nil {
		t.Fatal(err)
	}
	want := append([]string{"before"}, since...)
	l.eventually(t, "what came to us", func() bool { return len(fresh(l.m.Taken())) >= len(want) })
	if !l.others.contested() {
		t.Error("the archive is not asked again")
	}
	other.Close()
	l.eventually(t, "it is fetched", func() bool { return slices.Contains(fresh(l.m.Taken()), "taken") })
	l.eventually(t, "an end", func() bool { return !l.others.contested() })
	if err := alice.says(l.cfg.JID, "after"); err != nil {
		t.Fatal(err)
	}
	want = append(want, "taken", "after")
	l.eventually(t, "the last", func() bool { return len(fresh(l.m.Taken())) >= len(want) })
	if got := fresh(l.m.Taken()); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := l.log.count("takes no messages any more"); n != 1 {
		t.Errorf("its end is said %d times", n)
	}
}

// A relay that is killed while another client is there, and resumes, knows of it and asks the archive.
func resumedRival(t *testing.T, x *servers.XMPP) {
	m := bridgetest.NewMemory(t)
	l := start(t, m, testConfig(x)).up(t)
	other := owner(t, x, ownPriority)
	l.eventually(t, "it is named", func() bool { return l.log.count("priority as high as ours") == 1 })
	l.eventually(t, "it is kept", func() bool { return len(state(t, m)[keyOthers]) > 0 })
	l.disconnect(func() { l.current.l.Close() })
	l = start(t, m, testConfig(x)).up(t)
	if l.log.count(`"resumed":true`) != 1 || !l.others.contested() || !l.others.rival() {
		t.Errorf("the other client is forgotten: %+v", l.others.known)
	}
	other.Close()
	l.eventually(t, "an end", func() bool { return !l.others.contested() })
}

func state(t *testing.T, m *bridgetest.Memory) map[string][]byte {
	t.Helper()
	rows, err := m.SideJournal().State(t.Context(), bridge.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Two relays on one account know each other.
func twoRelays(t *testing.T, x *servers.XMPP) {
	first := start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
	c := testConfig(x)
	c.Resource = "second"
	second := start(t, bridgetest.NewMemory(t), c).up(t)
	for _, l := range []*run{first, second} {
		l.eventually(t, "it is said", func() bool {
			return l.log.count("another relay is logged in to the same account") == 1 && l.log.count("one relay per account and topic prefix") == 1
		})
	}
}

func TestPriorityOf(t *testing.T) {
	for text, want := range map[string]int{
		"<presence/>": 0, "<presence><priority> 5 </priority></presence>": 5, "<presence><priority>-1</priority></presence>": -1,
		"<presence><priority>x</priority></presence>": 0, "<presence type='unavailable'><priority>5</priority></presence>": -9,
		"<presence type='error'/>": -9, "<presence><priority xmlns='y'>5</priority></presence>": 0,
	} {
		got, there := priorityOf(parse(t, text))
		if there != (want != -9) || there && got != want {
			t.Errorf("%s: %d, %v", text, got, there)
		}
	}
}
