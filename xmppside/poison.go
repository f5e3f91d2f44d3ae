package xmppside

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
)

const (
	quickDeath       = 5 * time.Second
	deathsAlone      = 3 // quick deaths without a word before stanzas leave one by one
	deathsMost       = 8 // such deaths of one stanza alone before it is buried
	leaveSingleAfter = time.Minute
)

// poison is the search for a stanza that the server answers by closing the stream. A resumption would send it
// again, for ever, and everything behind it would wait.
type poison struct {
	s       *Side
	single  bool // stanzas leave one by one
	strikes map[bridge.Ref]int
	buried  map[bridge.Ref]bool // and perhaps still among the lost
	front   bridge.Ref          // first suspect of the last quick death
	deaths  int                 // of that one in a row
}

// blame looks at how a connection ended. The first time, those that it may have died of are sent one by one;
// the one that it dies of then is buried.
func (p *poison) blame(c *connection, end sm.End) {
	s := p.s
	if len(end.Suspects) == 0 || errors.Is(end.Err, sm.ErrBroken) {
		return
	}
	limit, suspicious := p.deathsAllowed(c, end)
	if !suspicious {
		return
	}
	first := end.Suspects[0]
	ref := first.Tag.(*outgoing).ref
	if p.single && len(end.Suspects) == 1 {
		if p.strikes[ref]++; p.strikes[ref] >= limit {
			p.bury(first, end)
			return
		}
	}
	refs := make([]bridge.Ref, len(end.Suspects))
	for i, x := range end.Suspects {
		refs[i] = x.Tag.(*outgoing).ref
	}
	s.streams.suspect(refs...)
	if !p.single {
		s.log.Warn().Str("condition", end.Condition).Int("suspects", len(refs)).
			Msg("the server closed the stream over something we sent: sending one by one to find it")
	}
	p.single = true
	s.st.Single(true)
}

// deathsAllowed says how many deaths of one stanza alone are enough.
func (p *poison) deathsAllowed(c *connection, end sm.End) (limit int, suspicious bool) {
	switch end.Condition {
	case "not-well-formed", "xml-not-well-formed", "invalid-xml", "bad-format", "restricted-xml", "invalid-namespace",
		"bad-namespace-prefix", "unsupported-stanza-type", "unsupported-encoding", "improper-addressing", "invalid-from":
		return 1, true
	case "policy-violation", "undefined-condition", "internal-server-error":
		return 2, true // it may be for other reasons
	case "":
	default:
		return 0, false
	}
	age := c.age(time.Now())
	if !hungUp(end.Err) || age == 0 || age > quickDeath {
		p.deaths = 0
		return 0, false
	}
	if ref := end.Suspects[0].Tag.(*outgoing).ref; ref != p.front {
		p.front, p.deaths = ref, 0
	}
	p.deaths++
	return deathsMost, p.deaths >= deathsAlone
}

// hungUp tells whether the server itself ended the connection, rather than the network.
func hungUp(err error) bool {
	var se *xml.SyntaxError
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &se)
}

func (p *poison) bury(x sm.Stanza, end sm.End) {
	s := p.s
	ref := x.Tag.(*outgoing).ref
	if err := s.st.Drop(x.N); err != nil {
		s.log.Error().Err(err).Stringer("ref", ref).Msg("the message that breaks the stream cannot be set aside")
		return
	}
	why := end.Condition
	if why == "" {
		why = "without a word"
	}
	s.journal.Settle(bridge.Result{Ref: ref, Err: bridge.Refuse("poison", "the XMPP server closes the connection over this message (%s)", why)})
	s.log.Error().Stringer("ref", ref).Str("condition", end.Condition).Str("said", end.Text).
		Msg("the server closes the stream over this message: it is set aside as dead")
	s.streams.settled(ref)
	if post := x.Tag.(*outgoing).post; post != nil {
		s.rooms.Posts.Forget(post)
	}
	delete(p.strikes, ref)
	p.buried[ref] = true
}

// leaveSingle lets stanzas out together again once all suspects are settled.
func (p *poison) leaveSingle(ctx context.Context) {
	s := p.s
	late := time.NewTimer(leaveSingleAfter)
	defer late.Stop()
	for {
		change := s.changed.Wait()
		if s.streams.unsuspicious() {
			s.st.Single(false)
			return
		}
		select {
		case <-change:
		case <-late.C:
			s.streams.clearSuspects()
		case <-ctx.Done():
			return
		}
	}
}
