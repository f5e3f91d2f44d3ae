package muc

import (
	"context"

	"chatrelay/xmppside/stanza"
)

// Visited is what a room showed to a visitor.
type Visited struct {
	Open    bool // real addresses, to everybody
	BanList bool
}

// Visit joins a served room as Keep does, and leaves it again. The error says why the room does not let us in.
func (rs *Rooms) Visit(ctx context.Context, c Login, j string) (v Visited, err error) {
	r := rs.at(j)
	if err := FindRoom(ctx, c, j); err != nil {
		return v, err
	}
	if err := r.join(ctx, rs, c); err != nil {
		return v, err
	}
	rs.mu.Lock()
	nick := r.in
	v.Open = r.open
	rs.mu.Unlock()
	if err := c.Write(leavePresence(j + "/" + nick)); err != nil {
		return v, err
	}
	_, err = c.Ask(ctx, j, "get", listQuery(outcast))
	v.BanList = !stanza.IsAnswer(err)
	return v, nil
}
