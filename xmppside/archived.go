package xmppside

import (
	"context"
	"sync"
	"time"

	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/sm"
)

// archiveHost is the side as the archive sees it.
type archiveHost struct{ s *Side }

// Stream implements mam.Side.
func (h archiveHost) Stream() string { return h.s.st.Session().ID }

// Settled implements mam.Side.
func (h archiveHost) Settled(ctx context.Context) error { return h.s.inbox.settled(ctx) }

// Contested implements mam.Side.
func (h archiveHost) Contested() bool { return h.s.others.contested() }

// ReadToEnd implements mam.Login.
func (c *connection) ReadToEnd() { c.holdback.archiveRead() }

// Take implements mam.Login: it hands on one archived message, if it was for us.
func (c *connection) Take(m sm.Handle, r *mam.Result, w mam.Position) {
	s := c.s
	c.holdback.meet(r, w.ByTime, s.inbox.push)
	if w.Known || r.Msg == nil || s.addr.self(r.Msg.Get("from")) || !s.forUs(r) {
		m.Done()
		return
	}
	v := s.classify(r.Msg)
	if v.in.Ignored != "" {
		m.Done()
		return
	}
	v.in.WireID, v.in.Redelivered = r.Hash, true
	s.inbox.push(item{c: c, m: m, in: v.in, cursor: &w.Cursor})
}

// searchFor makes the search for what the server may have of what is lost. Rooms are not in our archive, nor are stanza errors;
// their ids are another's.
func (s *Side) searchFor(lost []sm.Stanza) *mam.Search {
	var first binding
	var sent []mam.Sent
	for _, x := range lost {
		l := x.Tag.(*outgoing)
		if !x.Maybe || l.post != nil || !s.ids.made(l) {
			continue
		}
		if len(sent) == 0 {
			first = l.binding
		}
		sent = append(sent, mam.Sent{Ref: l.ref, ID: l.id, To: l.to})
	}
	return mam.NewSearch(s.addr.own, first.cursor, first.at, sent)
}

// fillGap has the archive read; what is held is passed on after the first attempt. It waits for that, but only so long: what goes out
// does not wait for a long archive, or for a slow one.
func (c *connection) fillGap(ctx context.Context, f *mam.Search) {
	s := c.s
	tried := make(chan struct{})
	c.wg.Go(func() { // ends with the connection
		s.archive.FillUntilDone(ctx, c, "", f, sync.OnceFunc(func() {
			c.holdback.release(s.inbox.push)
			if ctx.Err() == nil {
				s.archive.Empty()
			}
			close(tried)
		}))
	})
	select {
	case <-tried:
	case <-time.After(s.archive.Timeout):
		s.log.Warn().Dur("waited", s.archive.Timeout).Msg("the archive is not read to its end yet: what goes out does not wait for it any longer")
	}
}
