package xmppside

import (
	"context"
	"errors"
	"sync"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
)

// inboxRoom is how many messages may wait to be offered. When it is full the reading goroutine waits, and the
// server's bytes with it: that is the back-pressure. With the largest bodies it holds 12 MiB.
const inboxRoom = 64

// inbox carries messages from the goroutine that reads to the inlet, in order, over all connections.
type inbox struct {
	s     *Side
	queue chan item     // capacity inboxRoom
	ended chan struct{} // closed when nothing is offered any more

	mu      sync.Mutex  // guards all below
	period  int         // each wait begins a new one
	open    map[int]int // how many are not settled, by the period they came in
	problem string      // said last
}

func newInbox(s *Side) *inbox {
	return &inbox{s: s, queue: make(chan item, inboxRoom), ended: make(chan struct{}), open: map[int]int{}}
}

// push queues a message; when the connection ends first, the server brings it again. It does not for a component.
func (b *inbox) push(it item) {
	b.mu.Lock()
	it.period = b.period
	b.open[it.period]++
	b.mu.Unlock()
	over := it.c.l.Context().Done()
	if it.c.own.isComponent() {
		over = b.ended
	}
	select {
	case <-over: // one that is behind could be taken first
	default:
		select {
		case b.queue <- it:
			return
		case <-over:
		}
	}
	it.m.Redo()
	b.done(&it)
}

func (b *inbox) done(it *item) {
	b.mu.Lock()
	b.open[it.period]--
	if b.open[it.period] == 0 {
		delete(b.open, it.period)
	}
	b.mu.Unlock()
	b.s.changed.Wake()
}

// run offers until ctx ends.
func (b *inbox) run(ctx context.Context, in bridge.Inlet) {
	defer close(b.ended)
	for {
		select {
		case it := <-b.queue:
			b.offer(ctx, in, it)
		case <-ctx.Done():
			return
		}
	}
}

func (b *inbox) offer(ctx context.Context, in bridge.Inlet, it item) {
	offer := it.in
	offer.Gen = it.c.gen
	offer.State = append(offer.State, countRow(it.m.Session())...)
	if it.archived != "" {
		it.cursor = b.s.archive.Place.Live(it.archived, it.in.WireID)
	}
	if it.cursor != nil {
		offer.State = append(offer.State, it.cursor.Row())
	}
	offer.Ack = func(err error) { b.settle(&it, err) }
	if err := in.Offer(ctx, offer); err != nil {
		b.settle(&it, err)
	}
}

// settle is an offer's Ack.
func (b *inbox) settle(it *item, err error) {
	var refusal *bridge.Refusal
	switch {
	case err == nil, errors.As(err, &refusal):
		if it.cursor != nil {
			b.s.archive.Place.Reached(*it.cursor)
		}
		if it.m.Session().ID != "" {
			it.m.Saved()
		} else {
			it.m.Done()
		}
	case errors.Is(err, bridge.ErrFull):
		b.reject(it)
	case it.c.own.isComponent(): // nobody brings it again: its sender has to
		b.say(err)
		b.reject(it)
	default:
		b.say(err)
		it.m.Redo()
		b.s.archive.Place.GoBack()
	}
	b.done(it)
}

// reject tells the sender that the journal is full: withholding <a/> instead would lose silently at the server's
// limit. Until the server has what we tell, the message comes again with its stream; from an archive it does not.
func (b *inbox) reject(it *item) {
	r, ok := parseReply(it.in.Reply)
	if !ok {
		it.m.Done()
		return
	}
	answer := b.s.errorStanza(r, conditionOf("full"), "full", "the relay has no room for more messages now; send it again later")
	if it.m.Answer(answer) != nil {
		it.m.Redo()
		b.s.archive.Place.GoBack()
	}
}

// say logs trouble when it starts or changes.
func (b *inbox) say(err error) {
	b.mu.Lock()
	before, kind := b.problem, fix.Shape(err)
	b.problem = kind
	b.mu.Unlock()
	if before != kind && !errors.Is(err, context.Canceled) {
		b.s.log.Error().Err(err).Msg("a message could not be taken; the connection is renewed and it comes again")
	}
}

// settled waits until all that was read before is settled, or ctx ends.
func (b *inbox) settled(ctx context.Context) error {
	b.mu.Lock()
	mine := b.period
	b.period++
	b.mu.Unlock()
	for {
		change := b.s.changed.Wait()
		if !b.older(mine) {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// older tells whether something of a period, or of one before, is not settled.
func (b *inbox) older(period int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.open {
		if p <= period {
			return true
		}
	}
	return false
}
