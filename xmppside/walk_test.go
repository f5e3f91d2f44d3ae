package xmppside

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/xmppside/mam"
)

// snag stops the offers of a life at its nth one, out of the archive only or not.
type snag struct {
	bridge.Inlet
	all  bool
	left int
	hit  chan struct{} // closed then
	on   chan struct{} // closed when they may go on
}

func (g *snag) Offer(ctx context.Context, in bridge.Inbound) error {
	if g.all || in.Redelivered {
		if g.left--; g.left == 0 {
			close(g.hit)
			select {
			case <-g.on:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return g.Inlet.Offer(ctx, in)
}

// A walk through the archive that ends in the middle goes on with the next login: a stream is not resumed before it was
// walked, be it the process that ended or the connection.
func TestInterruptedWalk(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001")
		c := testConfig(x)
		if err := alice.says(c.JID, "an archive that was empty has no place to go on from: its login takes the store"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"killed", "cut"} {
			t.Run(name, func(t *testing.T) {
				m := bridgetest.NewMemory(t)
				link := proxy.New(t, x.Addr)
				c.Addr = link.Addr()
				l := start(t, m, c).up(t)
				first := name + ": hello"
				if err := alice.says(c.JID, first); err != nil {
					t.Fatal(err)
				}
				l.eventually(t, "live", func() bool { return slices.Contains(fresh(m.Taken()), first) })
				l.stop() // logged out: nothing to resume
				away := numbered(name+": away", 130)
				if err := alice.says(c.JID, away...); err != nil {
					t.Fatal(err)
				}
				if err := alice.sync(); err != nil {
					t.Fatal(err)
				}
				d := m.SideJournal()
				g := &snag{Inlet: d, left: 70, hit: make(chan struct{}), on: make(chan struct{})}
				l = startWith(t, m, c, d, g)
				<-g.hit
				if name == "killed" {
					l.disconnect(link.Cut)
					l = start(t, m, c)
				} else {
					link.Cut()
					close(g.on)
				}
				l.up(t)
				after := numbered(name+": after", 3)
				if err := alice.says(c.JID, after...); err != nil {
					t.Fatal(err)
				}
				want := slices.Concat([]string{first}, away, after)
				mine := func() (out []string) {
					for _, body := range fresh(m.Taken()) {
						if strings.HasPrefix(body, name) {
							out = append(out, body)
						}
					}
					return out
				}
				l.eventually(t, "the last", func() bool { return slices.Contains(mine(), after[2]) })
				if got := mine(); !slices.Equal(got, want) {
					t.Errorf("got %d of %d: %v", len(got), len(want), got)
				}
				if l.log.count(`"resumed":true`) != 0 {
					t.Error("a stream was resumed that was not walked")
				}
				l.stop()
			})
		}
	})
}

// What comes between the end of a walk and our presence comes before what is live.
func TestBetweenWalkAndPresence(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001")
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		l := start(t, m, c).up(t)
		var want []string
		say := func(bodies ...string) {
			want = append(want, bodies...)
			if err := alice.says(c.JID, bodies...); err != nil {
				t.Fatal(err)
			}
		}
		say("hello")
		l.takes(t, 1)
		l.stop()
		for round := range 5 {
			say(fmt.Sprint(round, " away"))
			if err := alice.sync(); err != nil {
				t.Fatal(err)
			}
			d := m.SideJournal()
			g := &snag{Inlet: d, left: 1, hit: make(chan struct{}), on: make(chan struct{})}
			l = startWith(t, m, c, d, g)
			<-g.hit // the walk waits for this one to be kept
			say(numbered(fmt.Sprint(round, " between"), 50)...)
			if err := alice.sync(); err != nil {
				t.Fatal(err)
			}
			close(g.on)
			say(numbered(fmt.Sprint(round, " live"), 500)...)
			l.eventually(t, "the last", func() bool { return slices.Contains(fresh(m.Taken()), want[len(want)-1]) })
			l.stop()
		}
		if got := fresh(m.Taken()); !slices.Equal(got, want) {
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%d of %d, in order up to %v", len(got), len(want), got[max(0, i-2):min(len(got), i+5)])
				}
			}
		}
	})
}

// Before there is a cursor no walk brings what came: the stream is resumed.
func TestInterruptedFirstLogin(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001")
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.Addr)
		c := testConfig(x)
		c.Addr = link.Addr()
		want := numbered("stored", 130)
		if err := alice.says(c.JID, want...); err != nil {
			t.Fatal(err)
		}
		if err := alice.sync(); err != nil {
			t.Fatal(err)
		}
		d := m.SideJournal()
		g := &snag{Inlet: d, all: true, left: 40, hit: make(chan struct{}), on: make(chan struct{})}
		l := startWith(t, m, c, d, g)
		<-g.hit
		l.disconnect(link.Cut)
		l = start(t, m, c).up(t)
		l.eventually(t, "the last", func() bool { return slices.Contains(fresh(m.Taken()), want[len(want)-1]) })
		if got := fresh(m.Taken()); !slices.Equal(got, want) {
			t.Errorf("got %d of %d: %v", len(got), len(want), got)
		}
	})
}

// ejabberd's archive has in another order what it hands on. What is there behind the last that was taken, or beside it, is
// taken: nothing else is taken again.
func TestBehindTheLast(t *testing.T) {
	x := servers.NewEjabberd(t, archiving())
	m := bridgetest.NewMemory(t)
	c := testConfig(x)
	alice := newPerson(t, x, "1001")
	l := start(t, m, c).up(t)
	live := numbered("live", mam.Overlap+5)
	if err := alice.says(c.JID, live...); err != nil {
		t.Fatal(err)
	}
	l.takes(t, len(live))
	l.stop()
	if err := alice.says(c.JID, "before", "beside", "behind"); err != nil {
		t.Fatal(err)
	}
	db := opened(t, x)
	l.eventually(t, "in the archive", func() bool {
		return moved(t, db, "before", live[len(live)-3], 1)+moved(t, db, "beside", live[len(live)-1], 0) == 2
	})
	l = start(t, m, c).up(t)
	l.eventually(t, "all", func() bool { return slices.Contains(fresh(m.Taken()), "behind") })
	var got []string
	for _, in := range m.Taken()[len(live):] {
		if in.Redelivered {
			got = append(got, string(in.Body))
		}
	}
	if want := []string{"before", "beside", "behind"}; len(got) < 3 || !slices.Equal(got[:3], want) {
		t.Errorf("got %v", got)
	}
}

// What we send stands in the archive too. The cursor passes it, also when nothing comes in.
func TestCursorKeepsUp(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		alice := newPerson(t, x, "1001")
		l := start(t, m, c).up(t)
		first, _ := l.archive.Place.Position()
		for n := 0; ; n++ {
			for i := range mam.AdvanceAfter {
				m.Add(bridge.KindChat, "2001", "1001", fmt.Sprintf("out-%d-%d", n, i))
			}
			alice.must(t, (n+1)*mam.AdvanceAfter, chats)
			l.eventually(t, "passed", func() bool { at, _ := l.archive.Place.Position(); return at.Next != first.Next })
			if first, _ = l.archive.Place.Position(); first.ID != "" {
				break
			}
		}
		l.stop()
		if err := alice.says(c.JID, "away"); err != nil {
			t.Fatal(err)
		}
		l = start(t, m, c).up(t)
		l.eventually(t, "taken", func() bool { return slices.Contains(fresh(m.Taken()), "away") })
		if l.log.count("no longer knows") != 0 {
			t.Error("there is no such place in the archive")
		}
	})
}
