package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"chatrelay/internal/journal/picture"
)

// tail is what the log says beyond the tables.
type tail struct {
	p       *picture.Picture
	c       *picture.Changes
	changed map[uint64]*picture.Delivery // by seq: the tables' rows of these say nothing any more
}

// tail reads what the log says beyond the tables; nil: nothing.
func (s *snapshot) tail() (*tail, error) {
	if s.last <= s.position.N {
		return nil, nil
	}
	p, err := s.load()
	if err != nil {
		return nil, err
	}
	c := &picture.Changes{}
	err = s.replay(p, s.position.N+1, s.last, func(_ []picture.Fact, next *picture.Changes) { c.Add(next) })
	return newTail(p, c), err
}

func newTail(p *picture.Picture, c *picture.Changes) *tail {
	t := &tail{p, c, map[uint64]*picture.Delivery{}}
	for _, d := range c.Inserted {
		t.changed[d.Seq] = d
	}
	for _, d := range c.Deliveries {
		t.changed[d.Seq] = d.Delivery
	}
	return t
}

func (t *tail) list(ctx context.Context, db execer, f Filter) ([]DeliveryInfo, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = listMost
	}
	f.Limit = limit + len(t.changed)
	rows, err := list(ctx, db, f)
	if err != nil {
		return nil, err
	}
	found, err := t.merge(ctx, db, rows, func(e *DeliveryInfo) bool {
		return e.Seq > f.After && (f.Dead == f.Pending || f.Dead == (e.State == "dead")) && (f.Reason == "" || e.Reason == f.Reason) &&
			(f.From == "" || e.From == f.From) && (f.To == "" || e.To == f.To) && (f.Before.IsZero() || e.At.Before(f.Before))
	})
	return found[:min(limit, len(found))], err
}

// merge puts what has changed in the place of the tables' rows.
func (t *tail) merge(ctx context.Context, db execer, rows []DeliveryInfo, fits func(*DeliveryInfo) bool) ([]DeliveryInfo, error) {
	found := slices.DeleteFunc(rows, func(e DeliveryInfo) bool { return t.changed[e.Seq] != nil })
	for _, d := range t.changed {
		if d.Gone {
			continue
		}
		e, err := info(ctx, db, d)
		if err != nil {
			return nil, err
		}
		if fits(&e) {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b DeliveryInfo) int { return cmp.Compare(a.Seq, b.Seq) })
	return found, nil
}

// info is what people are shown of a delivery. Why it was put off before is only in its row.
func info(ctx context.Context, db execer, d *picture.Delivery) (DeliveryInfo, error) {
	m := d.Message
	e := DeliveryInfo{
		Seq: d.Seq, Ref: d.Ref(), At: time.UnixMilli(m.At), From: m.From, To: d.To, Side: d.Side, Kind: d.Kind, State: "pending",
		Attempts: int(d.Attempts()), Size: int(m.Size),
	}
	if m.Cut > 0 {
		e.Size = int(m.Cut)
	}
	switch {
	case d.Dead:
		e.State, e.Reason, e.Text = "dead", d.Note.Reason, d.Note.Text
		return e, nil
	case d.Order > 0:
		e.State = "bound"
	}
	if d.Put == nil {
		return e, nil
	}
	if e.Reason = d.Put.Reason; e.Reason != "" {
		return e, nil
	}
	err := db.QueryRowContext(ctx, "SELECT coalesce(reason, '') FROM legs WHERE seq = ? AND state = 0", int64(d.Seq)).Scan(&e.Reason)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return e, err
}

func (t *tail) show(ctx context.Context, db execer, msg uint64) ([]DeliveryInfo, []byte, error) {
	rows, body, err := show(ctx, db, msg)
	unknown := errors.Is(err, ErrUnknown)
	if err != nil && !unknown {
		return nil, nil, err
	}
	for _, x := range t.c.Taken {
		if x.ID == msg {
			body, unknown = x.Body, false
		}
	}
	for _, x := range t.c.Cut {
		if x.ID == msg {
			body = x.Body
		}
	}
	if unknown || slices.Contains(t.c.Deleted, msg) {
		return nil, nil, fmt.Errorf("journal: message %d: %w", msg, ErrUnknown)
	}
	found, err := t.merge(ctx, db, rows, func(e *DeliveryInfo) bool { return e.Ref.Msg == msg })
	return found, body, err
}

func (t *tail) known(ctx context.Context, db execer, msg uint64) (m MessageInfo, err error) {
	m, err = known(ctx, db, msg)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return m, err
	}
	for _, x := range t.c.Taken {
		if x.ID == msg {
			m.At, m.From, m.Origin = time.UnixMilli(x.At), x.From, x.Origin
		}
	}
	if slices.Contains(t.c.Deleted, msg) {
		m = MessageInfo{}
	}
	if !m.At.IsZero() {
		if m.Deliveries, err = t.merge(ctx, db, m.Deliveries, func(e *DeliveryInfo) bool { return e.Ref.Msg == msg }); err != nil {
			return m, err
		}
	}
	var failed bool
	m.Failed, failed = t.p.Keys.Failure(msg)
	m.Remembered = t.p.Keys.Knows(msg)
	if m.At.IsZero() && !failed && !m.Remembered {
		return m, fmt.Errorf("journal: message %d: %w", msg, ErrUnknown)
	}
	return m, nil
}
