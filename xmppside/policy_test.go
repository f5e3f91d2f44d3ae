package xmppside

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// roomy is a server that archives by a policy.
func roomy(policy string) servers.XMPPConfig {
	cfg := archiving()
	cfg.ArchivePolicy = policy
	return cfg
}

// prefers sets the account's archiving preferences from another client of it, while the relay is away.
func prefers(t *testing.T, x *servers.XMPP, standard, never string) {
	t.Helper()
	if never != "" {
		never = "<jid>" + never + "</jid>"
	}
	err := clients.Prefer(t.Context(), clients.XMPPConfig{Addr: x.Addr, Domain: x.Domain, User: "receiver", Password: x.Password("receiver")},
		standard, "<always/><never>"+never+"</never>")
	if err != nil {
		t.Fatal(err)
	}
}

// wantAll checks that all bodies were taken, once and in order.
func wantAll(t *testing.T, m *bridgetest.Memory, l *run, want []string) {
	t.Helper()
	l.eventually(t, "the last", func() bool { return slices.Contains(fresh(m.Taken()), want[len(want)-1]) })
	got := fresh(m.Taken())
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%d of %d, in order up to %q; then %q instead of %q", len(got), len(want),
				got[max(0, i-2):min(i, len(got))], got[min(i, len(got)):min(i+4, len(got))], want[min(i, len(want)):min(i+4, len(want))])
		}
	}
}

// wantEmpty checks that Prosody's offline store has nothing for us any more.
func wantEmpty(t *testing.T, x *servers.XMPP) {
	t.Helper()
	if x.Name == "prosody" && x.Stored("receiver") {
		t.Error("something is left in the offline store")
	}
}

// What came while the archive was told not to keep it is in the offline store alone. It is taken from there, in whatever
// moment of that the relay is killed or cut off; and from then on all is archived.
func TestArchivePolicy(t *testing.T) {
	bothServers(t, roomy("never"), func(t *testing.T, x *servers.XMPP) {
		for _, c := range []struct{ prefers, never, end string }{
			{"never", "", "killed"}, // as Prosody's default_archive_policy = false leaves it
			{"roster", "", "cut"},
			{"always", "1001", ""}, // but not of her
		} {
			t.Run(c.prefers+c.never+c.end, func(t *testing.T) { notArchived(t, x, c.prefers, c.never, c.end) })
		}
	})
}

// notArchived has a relay that trusts nothing come back after the archive was told something else than always.
func notArchived(t *testing.T, x *servers.XMPP, prefs, never, end string) {
	alice := newPerson(t, x, "1001")
	m := bridgetest.NewMemory(t)
	link := proxy.New(t, x.Addr)
	cfg := testConfig(x)
	cfg.Addr = link.Addr()
	want := []string{"hello"}
	say := func(bodies ...string) {
		want = append(want, bodies...)
		if err := alice.says(cfg.JID, bodies...); err != nil {
			t.Fatal(err)
		}
	}
	l := start(t, m, cfg).up(t)
	if err := alice.says(cfg.JID, "hello"); err != nil {
		t.Fatal(err)
	}
	l.takes(t, 1)
	l.stop()
	if never != "" {
		never = x.JID(never)
	}
	prefers(t, x, prefs, never)
	m.SideJournal().SetState(bridge.XMPP, bridge.StateRow{Key: "always"}) // as a relay of before leaves it
	say(numbered("away", 47)...)
	d := m.SideJournal()
	if end == "" {
		l = startWith(t, m, cfg, d, d)
	} else {
		g := &snag{Inlet: d, all: true, left: 20, hit: make(chan struct{}), on: make(chan struct{})}
		l = startWith(t, m, cfg, d, g)
		<-g.hit
		say("in the middle")
		if end == "killed" {
			l.disconnect(link.Cut)
			l = start(t, m, cfg)
		} else {
			link.Cut()
			close(g.on)
		}
	}
	l.up(t)
	say(numbered("live", 3)...)
	wantAll(t, m, l, want)
	wantEmpty(t, x)
	l.stop()
	say(numbered("archived", 3)...)
	if step := step(t, Check(t.Context(), cfg), "XEP-0313"); !step.OK || !strings.Contains(step.Text(), "always") {
		t.Errorf("check says %+v", step)
	}
	l = start(t, m, cfg).up(t)
	wantAll(t, m, l, want)
	wantEmpty(t, x)
	l.stop()
}

// An archive that drops old entries: the offline store has the oldest that came, the archive has the newest. What the store has handed
// out Prosody drops at the next login, once the archive was asked: only the stream has it then.
func TestArchiveDropsOldEntries(t *testing.T) {
	for _, at := range []int{0, 30, 120} {
		t.Run(fmt.Sprint("killed at ", at), func(t *testing.T) {
			cfg := archiving()
			cfg.ArchiveLimit = 100
			x := servers.NewProsody(t, cfg)
			alice := newPerson(t, x, "1001")
			m := bridgetest.NewMemory(t)
			link := proxy.New(t, x.Addr)
			c := testConfig(x)
			c.Addr = link.Addr()
			want := numbered("before", 70)
			l := start(t, m, c).up(t)
			if err := alice.says(c.JID, want...); err != nil {
				t.Fatal(err)
			}
			l.takes(t, len(want))
			for range 5 { // what we send is in the archive, too
				m.Add(bridge.KindChat, "2001", "1002", "ours")
			}
			m.Until(t, "sent", bridgetest.AllClosed)
			l.stop()
			want = append(want, numbered("away", 190)...)
			if err := alice.says(c.JID, want[70:]...); err != nil {
				t.Fatal(err)
			}
			d := m.SideJournal()
			g := &snag{Inlet: d, all: true, left: 1000, hit: make(chan struct{}), on: make(chan struct{})}
			if at > 0 {
				g.left = at
			}
			l = startWith(t, m, c, d, g)
			if at > 0 {
				<-g.hit
				l.disconnect(link.Cut)
				l = start(t, m, c)
			}
			l.up(t)
			wantAll(t, m, l, want)
			wantEmpty(t, x)
		})
	}
}

// Some is not to be archived, whatever the preferences: its sender says so (XEP-0334). It is in the offline store alone.
func TestNotToBeArchived(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001")
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		l := start(t, m, c).up(t)
		if err := alice.says(c.JID, numbered("before", 70)...); err != nil {
			t.Fatal(err)
		}
		l.takes(t, 70)
		l.stop()
		alice.raw(t, "<message to='"+c.JID+"' type='chat'><body>secret</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>")
		l = start(t, m, c).up(t)
		wantAll(t, m, l, append(numbered("before", 70), "secret"))
		wantEmpty(t, x)
	})
}

// Where the account may not say what is archived, each login takes the offline store first.
func TestFixedPolicy(t *testing.T) {
	cfg := roomy("never")
	cfg.ArchiveFixed = true
	x := servers.NewEjabberd(t, cfg)
	alice := newPerson(t, x, "1001")
	m := bridgetest.NewMemory(t)
	c := testConfig(x)
	var want []string
	for round := range 3 {
		more := numbered(fmt.Sprint(round), 20)
		want = append(want, more...)
		if err := alice.says(c.JID, more...); err != nil {
			t.Fatal(err)
		}
		l := start(t, m, c).up(t)
		wantAll(t, m, l, want)
		if n := l.log.count("does not let it say so"); n != 1 {
			t.Errorf("said %d times", n)
		}
		l.stop()
	}
	if step := step(t, Check(t.Context(), c), "XEP-0313"); step.OK || !strings.Contains(step.Text(), "never") {
		t.Errorf("check says %+v", step)
	}
}

// What the archive could not be asked for on a stream on which the store was taken is fetched once that is resumed.
func TestGapAfterTaking(t *testing.T) {
	x := servers.NewProsody(t, archiving())
	link := proxy.New(t, x.Addr)
	c := testConfig(x)
	c.Addr = link.Addr()
	l := start(t, bridgetest.NewMemory(t), c).up(t)
	l.eventually(t, "all is filled", func() bool { return !l.archive.Place.Gapped() })
	l.archive.Streams.MarkTaking(l.st.Session().ID)
	l.archive.Gap()
	link.Cut()
	l.eventually(t, "resumed", func() bool { return l.log.count(`"resumed":true`) == 1 })
	l.eventually(t, "the gap is filled", func() bool { return !l.archive.Place.Gapped() })
}
