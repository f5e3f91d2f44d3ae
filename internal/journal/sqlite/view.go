package sqlite

import (
	"context"

	"chatrelay/internal/journal/picture"
)

// View is what a journal that runs has for people: the tables, and what they were not told yet.
type View struct {
	t    *Tables
	tail *tail // nil: they know all
}

// View is of tables that know all.
func (t *Tables) View() View { return View{t: t} }

// Beyond is a view of tables that were not told of some changes, to be looked at by the writer.
func (t *Tables) Beyond(p *picture.Picture, c *picture.Changes) View { return View{t, newTail(p, c)} }

// List lists deliveries, oldest first.
func (v View) List(ctx context.Context, f Filter) ([]DeliveryInfo, error) {
	db, ctx := v.t.lists(), v.t.reading(ctx)
	if v.tail != nil {
		return v.tail.list(ctx, db, f)
	}
	return list(ctx, db, f)
}

// Show gives the deliveries of a message that are open or dead, and its body.
func (v View) Show(ctx context.Context, msg uint64) ([]DeliveryInfo, []byte, error) {
	db, ctx := v.t.read(), v.t.reading(ctx)
	if v.tail != nil {
		return v.tail.show(ctx, db, msg)
	}
	return show(ctx, db, msg)
}

// Known tells what is known of a message by its number; ErrUnknown: nothing.
func (v View) Known(ctx context.Context, msg uint64) (MessageInfo, error) {
	db, ctx := v.t.read(), v.t.reading(ctx)
	if v.tail != nil {
		return v.tail.known(ctx, db, msg)
	}
	return known(ctx, db, msg)
}
