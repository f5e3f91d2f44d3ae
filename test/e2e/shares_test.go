package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// groupsOf makes a groups file of the rooms given, with all landlines and more members in each.
func groupsOf(t *testing.T, rooms []string, more ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "groups.csv")
	var b strings.Builder
	for _, room := range rooms {
		for _, name := range append(stage.Landlines(), more...) {
			fmt.Fprintf(&b, "%s,%s\n", room, name)
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// newSmall is a chat through a journal of 8 MiB. Nobody gets into the room closed.
func newSmall(t *testing.T) *chat {
	t.Helper()
	broker := servers.MosquittoConfig{MaxInflight: 100, MaxQueued: 100_000}
	return newForgivingChat(t, stage.Plan{Start: stage.XMPPServers()[0].Start, Broker: broker, Wire: func(s *stage.Stage) map[string]string {
		team := s.XMPP.Room("team")
		return map[string]string{"STORE_MAX_BYTES": "8MiB", "XMPP_ROOMS": team + "," + closed, "GROUPS_FILE": groupsOf(t, []string{team, closed})}
	}}, func(event) bool { return true })
}

const closed = "closed@nowhere.invalid"

// TestClosedRoom: what waits for one room that keeps the relay out does not shut the relay for the others.
func TestClosedRoom(t *testing.T) {
	t.Parallel()
	c := newSmall(t)
	text := strings.Repeat("x", 180_000)
	for i := range 46 {
		e := stage.Grouped("1004", closed, fmt.Sprint(i, text))
		e.ID = fmt.Sprint("big", i)
		c.stanza(t, "1004", e.String())
	}
	c.h.want(t, "resource-constraint for the last ones", 2*stage.WaitLimit, func(e event) bool {
		return e.inbox == "1004" && e.st.Type == "error" && e.st.Condition == "resource-constraint"
	})
	c.goesThrough(t, "while the room has its share")
	c.Relay.Stop()
}

// TestManyDeadLetters: messages that can never be delivered do not shut the relay for the others.
func TestManyDeadLetters(t *testing.T) {
	t.Parallel()
	c := newSmall(t)
	text := strings.Repeat("x", 900)
	for i := range 5407 {
		e := stage.Direct("1004", "A2000001", fmt.Sprint("dead", i, text)) // a capital, and no row in the identity table
		c.publish(t, "1004", "A2000001", e.String())
	}
	c.goesThrough(t, "while dead letters have their share")
	st := c.Relay.Until("all turned down", func(s stage.Status) bool { return s.TurnedDown() >= 5407 })
	if n := st.Counts["dead_put_away"]; n < 500 {
		t.Errorf("%d dead letters were put away: %s", n, st)
	}
	t.Logf("%s", st)
	c.Relay.Stop()
}

// goesThrough: what others write to others, both ways.
func (c *chat) goesThrough(t *testing.T, when string) {
	t.Helper()
	x, m := stage.Direct("1001", "1003", "by xmpp "+when), stage.Direct("1002", "1003", "by mqtt "+when)
	c.stanza(t, "1001", x.String())
	c.h.wantMQTT(t, "1003", x.String())
	c.publish(t, "1002", "1003", m.String())
	c.h.wantXMPP(t, "1003", m.String())
}

// TestFairness: one group message to two thousand inboxes holds up nobody else's.
func TestFairness(t *testing.T) {
	var more []string
	for i := range 2000 {
		more = append(more, fmt.Sprint("7", i))
	}
	x := stage.XMPPServers()[0]
	c := newForgivingChat(t, stage.Plan{Start: x.Start, Broker: servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100_000},
		Wire: func(s *stage.Stage) map[string]string {
			return map[string]string{"GROUPS_FILE": groupsOf(t, []string{s.XMPP.Room("team")}, more...)}
		}}, func(event) bool { return true })
	c.goesThrough(t, "alone")
	big := stage.Grouped("1004", c.XMPP.Room("team"), strings.Repeat("x", 180_000))
	c.stanza(t, "1004", big.String())
	c.Relay.Until("copies on their way", func(s stage.Status) bool { return s.Sides["mqtt"].Open > 1000 })
	open := func() int64 { return c.Relay.Status().Sides["mqtt"].Open }
	for i := range 3 {
		e := stage.Direct("1001", "1003", fmt.Sprint("meanwhile ", i))
		before, began := open(), time.Now()
		c.stanza(t, "1001", e.String())
		c.h.wantMQTT(t, "1003", e.String())
		took, after := time.Since(began), open()
		t.Logf("%v; %d copies left meanwhile, %d are still to go", took.Round(time.Millisecond), before-after, after)
		// Counted, as time says more of the machine than of the turns.
		if before-after > 400 || after < 100 {
			t.Errorf("%d copies went before it, %d were still to go", before-after, after)
		}
	}
	c.Relay.Kill() // the rest has nothing to show
}
