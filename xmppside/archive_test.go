package xmppside

import (
	"database/sql"
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

func archiving() servers.XMPPConfig { return servers.XMPPConfig{PlainAllowed: true, MAM: true} }

// fresh are the offers that are no known redelivery, as the journal tells them apart.
func fresh(all []bridge.Inbound) (out []string) {
	known := map[string]bool{}
	for _, in := range all {
		if in.Ignored != "" || in.WireID != "" && known[in.WireID] {
			continue
		}
		known[in.WireID] = true
		out = append(out, string(in.Body))
	}
	return out
}

func numbered(word string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s-%d", word, i))
	}
	return out
}

// What came while no stream was alive is taken from the archive, once and in order, over several pages.
func TestCatchUp(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.Addr)
		c := testConfig(x)
		c.Addr = link.Addr()
		alice := newPerson(t, x, "1001")
		if err := alice.says(c.JID, "older than the relay"); err != nil {
			t.Fatal(err)
		}
		l := start(t, m, c).up(t)
		l.takes(t, 1)
		before := numbered("before", 5)
		if err := alice.says(c.JID, before...); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "live ones", func() bool { return len(fresh(m.Taken())) >= 6 })
		for _, in := range m.Taken() {
			if in.WireID == "" || in.Redelivered {
				t.Errorf("live: %+v", in)
			}
		}
		m.Add(bridge.KindChat, "2001", "1001", "ours is in the archive, too")
		m.Until(t, "sent", bridgetest.AllClosed)
		link.Refuse(true)
		l.disconnect(link.Cut)
		away := numbered("away", 130)
		if err := alice.says(c.JID, away...); err != nil {
			t.Fatal(err)
		}
		if err := alice.sync(); err != nil { // the server has them
			t.Fatal(err)
		}
		if err := x.Stop(); err != nil { // no stream survives that
			t.Fatal(err)
		}
		if err := x.Start(); err != nil {
			t.Fatal(err)
		}
		link.Refuse(false)
		taken := len(m.Taken())
		l = start(t, m, c).up(t)
		if l.log.count(`"resumed":false`) != 1 {
			t.Error("it was resumed: this test shows nothing")
		}
		after := numbered("after", 3)
		if err := alice.says(c.JID, after...); err != nil {
			t.Fatal(err)
		}
		want := slices.Concat([]string{"older than the relay"}, before, away, after)
		l.eventually(t, "all", func() bool { return len(fresh(m.Taken())) >= len(want) })
		if got := fresh(m.Taken()); !slices.Equal(got, want) {
			t.Errorf("got %d: %v", len(got), got)
		}
		if in := m.Taken()[taken]; !in.Redelivered || in.WireID == "" || in.From != "1001" {
			t.Errorf("the first from the archive is %+v", in)
		}
	})
}

// opened is ejabberd's database.
func opened(t *testing.T, x *servers.XMPP) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", x.Database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// moved gives a message in the receiver's archive the place so many microseconds before another. It counts the messages.
func moved(t *testing.T, db *sql.DB, body, other string, before int) int64 {
	t.Helper()
	done, err := db.ExecContext(t.Context(), `UPDATE archive SET timestamp = (SELECT timestamp FROM archive WHERE username = 'receiver' AND txt = ?) - ?
		WHERE username = 'receiver' AND txt = ?`, other, before, body)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := done.RowsAffected() // SQLite always knows
	return n
}

// ejabberd gives messages of one microsecond the same id. None is taken for another, live or where pages meet.
func TestSameMicrosecond(t *testing.T) {
	x := servers.NewEjabberd(t, archiving())
	m := bridgetest.NewMemory(t)
	c := testConfig(x)
	alice := newPerson(t, x, "1001")
	l := start(t, m, c).up(t)
	l.stop()
	away := numbered("away", 2*mam.PageSize+50)
	if err := alice.says(c.JID, away...); err != nil {
		t.Fatal(err)
	}
	db := opened(t, x)
	twins := func() (n int64) { // within a page, and where two pages meet
		for _, first := range []int{mam.PageSize / 2, mam.PageSize - 1, 2*mam.PageSize - 2} {
			n += moved(t, db, away[first+1], away[first], 0)
		}
		return n
	}
	l.eventually(t, "in the archive", func() bool { return twins() == 3 })
	l = start(t, m, c).up(t)
	var got []string // what ejabberd had stored as well comes later
	l.eventually(t, "all", func() bool {
		got = got[:0]
		for _, in := range m.Taken() {
			if body := string(in.Body); in.Ignored == "" && !slices.Contains(got, body) {
				got = append(got, body)
			}
		}
		return len(got) >= len(away)
	})
	if !slices.Equal(got, away) {
		t.Errorf("got %d of %d: %v", len(got), len(away), got)
	}
	if n := len(fresh(m.Taken()[:len(away)])); n != len(away) {
		t.Errorf("%d of %d are told apart", n, len(away))
	}
}

// The stream is lost with stanzas that the server has, and whose acknowledgement it could not tell: the archive
// can.
func TestLostButArrived(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.Addr)
		c := testConfig(x)
		c.Addr = link.Addr()
		alice := newPerson(t, x, "1001")
		l := start(t, m, c).up(t)
		other := newPerson(t, x, "1003") // the last that was taken is no talk with her who is written to
		if err := other.says(c.JID, "hello"); err != nil {
			t.Fatal(err)
		}
		l.takes(t, 1)
		link.Stall(proxy.Down, true)
		for i := range 3 {
			m.Add(bridge.KindChat, "2001", "1001", fmt.Sprint("out-", i))
		}
		alice.must(t, 3, chats)
		link.Refuse(true)
		end := x.Stop // ejabberd forgets streams then
		if x.Name == "prosody" {
			end = x.Kill // after an orderly stop it would tell exactly what arrived
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		link.Cut()
		link.Stall(proxy.Down, false)
		l.down(t, "")
		if err := x.Start(); err != nil {
			t.Fatal(err)
		}
		link.Refuse(false)
		l.up(t)
		m.Until(t, "closed", bridgetest.AllClosed)
		if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
			t.Errorf("maybe_duplicate is %d", n)
		}
		if n := l.log.count("no longer knows"); n != 0 {
			t.Errorf("the archive was asked for a place that it does not know, %d times", n)
		}
		if err := alice.says(alice.jid, "the end"); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range alice.must(t, 4, chats) {
			if strings.HasPrefix(s.Body, "out-") {
				got = append(got, s.Body)
			}
		}
		if !slices.Equal(got, numbered("out", 3)) {
			t.Errorf("heard %v", got)
		}
	})
}

// An archive that has forgotten where we were is asked by time.
func TestForgottenCursor(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		alice := newPerson(t, x, "1001")
		l := start(t, m, c).up(t)
		if err := alice.says(c.JID, "a"); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "taken", func() bool { return len(fresh(m.Taken())) == 1 })
		at, _ := l.archive.Place.Position()
		l.stop()
		m.SideJournal().SetState(bridge.XMPP, mam.Cursor{ID: "no-such-id", At: at.At}.Row())
		if err := alice.says(c.JID, "b"); err != nil {
			t.Fatal(err)
		}
		l = start(t, m, c).up(t)
		l.eventually(t, "taken", func() bool { return len(fresh(m.Taken())) >= 2 })
		if got := fresh(m.Taken()); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("got %v", got)
		}
	})
}
