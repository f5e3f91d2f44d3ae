package xmppside

import (
	"context"

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

// Context implements mam.Login.
func (c *login) Context() context.Context { return c.l.Context() }

// WalkedAll implements mam.Login.
func (c *login) WalkedAll() { c.holdback.archiveRead() }

// Take implements mam.Login: it hands on one archived message, if it was for us.
func (c *login) Take(m sm.Handle, r *mam.Result, w mam.Walked) {
	s := c.s
	c.holdback.meet(r, w.ByTime, s.inbox.push)
	if w.Again || r.Msg == nil || s.addr.self(r.Msg.Get("from")) || !s.forUs(r) {
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

func (s *Side) forUs(r *mam.Result) bool {
	switch r.Msg.Get("type") {
	case "chat", "normal", "":
		return s.addr.self(r.Msg.Get("to"))
	}
	return false
}

// searchFor makes the search for what the server may have of what is lost. Rooms are not in our archive, nor are stanza errors;
// their ids are another's.
func (s *Side) searchFor(lost []sm.Stanza) *mam.Search {
	var first binding
	var sent []mam.Sent
	for _, x := range lost {
		l := x.Tag.(*outgoing)
		if !x.Maybe || l.room || !s.ids.made(l) {
			continue
		}
		if len(sent) == 0 {
			first = l.binding
		}
		sent = append(sent, mam.Sent{Ref: l.ref, ID: l.id, To: l.to})
	}
	return mam.NewSearch(s.addr.own, first.cursor, first.at, sent)
}
