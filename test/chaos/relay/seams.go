package main

import (
	"context"

	"chatrelay/bridge"
)

// The steps, each with the side's name before it: receive, append, appended, ack, acked, next, send, sent, bind,
// bound, committed, unbind, close, closed, state, notice. What a message passes on its way:
//
//	receive → append → (commit) → appended → ack → acked
//	next → send → bind → bound → (commit) → committed → (the wire) → close → closed
//	notice is the next of a notice's delivery.

// side: what is offered, acknowledged and sent.
func (p *point) side(s bridge.Side) bridge.Side { return &side{s, p} }

type side struct {
	bridge.Side
	p *point
}

// Run implements bridge.Side.
func (s *side) Run(ctx context.Context, in bridge.Inlet) error {
	return s.Side.Run(ctx, &inlet{in, s.p, s.ID()})
}

// Send implements bridge.Side.
func (s *side) Send(ctx context.Context, out bridge.Outbound) error {
	s.p.pass(s.ID(), "send")
	err := s.Side.Send(ctx, out)
	if err == nil {
		s.p.pass(s.ID(), "sent")
	}
	return err
}

type inlet struct {
	bridge.Inlet
	p  *point
	id bridge.SideID
}

// Offer implements bridge.Inlet.
func (i *inlet) Offer(ctx context.Context, in bridge.Inbound) error {
	i.p.listener.note(&in)
	i.p.pass(i.id, "receive")
	ack := in.Ack
	in.Ack = func(err error) {
		i.p.pass(i.id, "ack")
		ack(err)
		i.p.pass(i.id, "acked")
	}
	return i.Inlet.Offer(ctx, in)
}

// journal: what is written down.
func (p *point) appender(b bridge.Appender) bridge.Appender { return &appender{b, p} }

type appender struct {
	bridge.Appender
	p *point
}

// Append implements bridge.Appender.
func (b *appender) Append(ctx context.Context, recs []*bridge.Record) error {
	for _, r := range recs {
		b.p.pass(r.Origin, "append")
	}
	err := b.Appender.Append(ctx, recs)
	for _, r := range recs {
		b.p.pass(r.Origin, "appended")
	}
	return err
}

// queue: what is handed out.
func (p *point) queue(q bridge.Queue) bridge.Queue { return &queue{q, p} }

type queue struct {
	bridge.Queue
	p *point
}

// Next implements bridge.Queue.
func (l *queue) Next(ctx context.Context, id bridge.SideID) (bridge.Outbound, error) {
	out, err := l.Queue.Next(ctx, id)
	if err == nil {
		l.p.pass(id, "next")
		if out.Kind == bridge.KindNotice {
			l.p.pass(id, "notice")
		}
	}
	return out, err
}

// sideJournal: what is bound and closed.
func (p *point) sideJournal(id bridge.SideID, d bridge.SideJournal) bridge.SideJournal {
	return &sideJournal{d, p, id}
}

type sideJournal struct {
	bridge.SideJournal
	p  *point
	id bridge.SideID
}

// Bind implements bridge.SideJournal.
func (d *sideJournal) Bind(ref bridge.Ref, binding []byte) uint64 {
	d.p.pass(d.id, "bind")
	ticket := d.SideJournal.Bind(ref, binding)
	d.p.pass(d.id, "bound")
	return ticket
}

// Wait implements bridge.SideJournal.
func (d *sideJournal) Wait(ctx context.Context, ticket uint64) error {
	err := d.SideJournal.Wait(ctx, ticket)
	if err == nil {
		d.p.pass(d.id, "committed")
	}
	return err
}

// Unbind implements bridge.SideJournal.
func (d *sideJournal) Unbind(refs ...bridge.Ref) {
	d.p.pass(d.id, "unbind")
	d.SideJournal.Unbind(refs...)
}

// Close implements bridge.SideJournal: the far side has confirmed.
func (d *sideJournal) Settle(results ...bridge.Result) {
	d.p.pass(d.id, "close")
	d.SideJournal.Settle(results...)
	d.p.pass(d.id, "closed")
}

// SetState implements bridge.SideJournal.
func (d *sideJournal) SetState(id bridge.SideID, rows ...bridge.StateRow) uint64 {
	d.p.pass(d.id, "state")
	return d.SideJournal.SetState(id, rows...)
}
