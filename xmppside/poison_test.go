package xmppside

import (
	"errors"
	"io"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/internal/wait"
	"chatrelay/test/servers"
	"chatrelay/xmppside/sm"
)

// ending is how a connection ended that messages were sent on, for so long.
type ending struct {
	condition string
	err       error
	age       time.Duration
	suspects  []uint64
}

func (e ending) on(s *Side) {
	c := &connection{s: s}
	if e.age > 0 {
		c.readyAt.Store(wait.Running(time.Now().Add(-e.age)))
	}
	end := sm.End{Condition: e.condition, Err: e.err}
	for _, n := range e.suspects {
		end.Suspects = append(end.Suspects, sm.Stanza{N: n, Tag: &outgoing{ref: bridge.Ref{Msg: n}}})
	}
	s.poison.blame(c, end)
}

func TestBlame(t *testing.T) {
	malformed := func(n ...uint64) ending { return ending{condition: "not-well-formed", suspects: n} }
	policy := func(n ...uint64) ending { return ending{condition: "policy-violation", suspects: n} }
	hungUp := func(n ...uint64) ending { return ending{err: io.EOF, age: time.Millisecond, suspects: n} }
	times := func(n int, e ending) (out []ending) {
		for range n {
			out = append(out, e)
		}
		return out
	}
	for name, c := range map[string]struct {
		ends   []ending
		single bool
		buried uint64
	}{
		"nobody":                           {[]ending{malformed()}, false, 0},
		"several":                          {[]ending{malformed(1, 2)}, true, 0},
		"one, but not alone before":        {[]ending{malformed(1)}, true, 0},
		"one alone":                        {[]ending{malformed(1, 2), malformed(1)}, true, 1},
		"another alone":                    {[]ending{malformed(1, 2), malformed(2)}, true, 2},
		"broken by a resumption":           {[]ending{{condition: "not-well-formed", err: sm.ErrBroken, suspects: []uint64{1}}}, false, 0},
		"policy, once alone":               {[]ending{policy(1, 2), policy(1)}, true, 0},
		"policy, twice alone":              {[]ending{policy(1, 2), policy(1), policy(1)}, true, 1},
		"the server stops":                 {[]ending{{condition: "system-shutdown", suspects: []uint64{1}}}, false, 0},
		"the network":                      {times(20, ending{err: errors.New("reset"), age: time.Millisecond, suspects: []uint64{1}}), false, 0},
		"hung up twice":                    {times(2, hungUp(1, 2)), false, 0},
		"hung up three times":              {times(3, hungUp(1, 2)), true, 0},
		"hung up over others each time":    {[]ending{hungUp(1), hungUp(2), hungUp(3), hungUp(4)}, false, 0},
		"hung up late":                     {times(20, ending{err: io.EOF, age: time.Minute, suspects: []uint64{1}}), false, 0},
		"hung up before messages went out": {times(20, ending{err: io.EOF, suspects: []uint64{1}}), false, 0},
		"hung up over one for ever":        {times(12, hungUp(1)), true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := unit(t), bridgetest.NewMemory(t)
			for range 4 {
				m.Add(bridge.KindChat, "2001", "1001", "x")
			}
			s.journal = m.SideJournal()
			s.st = sm.New(sm.Config{}, sm.State{})
			for _, e := range c.ends {
				e.on(s)
			}
			if s.poison.single != c.single || s.poison.buried[bridge.Ref{Msg: c.buried}] != (c.buried > 0) || len(s.poison.buried) > 1 {
				t.Errorf("single %v, buried %v", s.poison.single, s.poison.buried)
			}
		})
	}
}

// What the journal holds for a stream that is not ours, or in a way that nobody can read, is sent anew and counted.
func TestStrangeBindings(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true})
	alice := newPerson(t, x, "1001")
	m := bridgetest.NewMemory(t)
	d := m.SideJournal()
	for _, h := range [][]byte{binding{stream: "another", n: 1}.bytes(), {1, 2, 3}} {
		ref := m.Add(bridge.KindChat, "2001", "1001", "x")
		if _, err := d.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Wait(t.Context(), d.Bind(ref, h)); err != nil {
			t.Fatal(err)
		}
	}
	start(t, m, testConfig(x))
	m.Until(t, "all closed", bridgetest.AllClosed)
	if n := m.Counted(bridge.MaybeDuplicate); n != 2 {
		t.Errorf("maybe_duplicate is %d", n)
	}
	alice.must(t, 2, chats)
}
