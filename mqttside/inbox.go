package mqttside

import (
	"context"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/mqttside/session"
)

const (
	inboxBytes = 8 << 20 // taken off the wire and not yet in the journal
	itemCost   = 512     // what a message costs beside its payload
	renewBelow = inboxBytes / 10 * 8
	roomWait   = 2 * time.Second // for room; a journal that stands still for so long is not waited for: pings would die
)

// item is one PUBLISH from the broker.
type item struct {
	k    *connection
	p    *session.Publish
	size int
	row  *session.ReceivedID // nil at QoS 0
	// probe: nothing but an acknowledgement is due. Ours go at QoS 0; this is somebody's who took such a name.
	probe bool
	// settled and good are of ackLine: the journal has decided, and the packet is to be acknowledged.
	settled, good bool
}

// inbox holds what came until the journal has it. The connection's reader puts into it; one goroutine offers.
type inbox struct {
	mu    sync.Mutex // guards all below
	queue []*item
	used  int
	short time.Time // when there was no room last
	wake  wait.Signal
	room  wait.Signal // there is room again

	published published
}

func newInbox() *inbox { return &inbox{wake: wait.NewSignal(), room: wait.NewSignal()} }

// put takes a message; false: the budget is spent.
func (b *inbox) put(i *item) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > 0 && b.used+i.size > inboxBytes {
		b.short = time.Now()
		return false
	}
	b.used += i.size
	b.queue = append(b.queue, i)
	b.wake.Set()
	return true
}

// next waits for messages and takes them all.
func (b *inbox) next(ctx context.Context) ([]*item, error) {
	for {
		b.mu.Lock()
		got := b.queue
		b.queue = nil
		b.mu.Unlock()
		if len(got) > 0 {
			return got, nil
		}
		select {
		case <-b.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// free gives back what a message took.
func (b *inbox) free(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.used < renewBelow {
		b.room.Set()
	}
}

// pressed tells whether the broker brought more than there was room for, not longer ago than that. What it answers
// comes behind all that, and is late for no fault of its own.
func (b *inbox) pressed(within time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.short.IsZero() && time.Since(b.short) < within
}

func (b *inbox) roomy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used < renewBelow
}

// receive takes in what a connection brings.
func (s *Side) receive(k *connection, p *session.Publish) {
	if p.QoS == 0 && (s.devices.hears(p) || s.inbox.published.take(p.Topic, p.Payload)) {
		return
	}
	probe := s.isProbe(p.Topic)
	if !probe {
		k.progress()
	} else if k.hear(p.Payload); p.QoS == 0 {
		return
	}
	if !k.takes() {
		return // unacknowledged: the broker brings it again on the next connection
	}
	i := &item{k: k, p: p, probe: probe, size: len(p.Payload) + len(p.Topic) + itemCost}
	k.taken(1)
	if !s.inbox.put(i) && !s.makeRoom(i) {
		k.taken(-1)
		k.drop("more came at once than the relay keeps in memory")
	}
}

// makeRoom holds up the reading until there is room for a message, or for too long. The broker waits meanwhile, as TCP
// makes it: a new connection would bring all that is in flight once more.
func (s *Side) makeRoom(i *item) bool {
	limit := time.NewTimer(roomWait)
	defer limit.Stop()
	for {
		select {
		case <-s.inbox.room:
		case <-i.k.conn.Closed():
			return false
		case <-limit.C:
			return false
		}
		if !i.k.takes() {
			return false
		}
		if s.inbox.put(i) {
			return true
		}
	}
}

// offer hands over what came, in order, until ctx ends.
func (s *Side) offer(ctx context.Context, in bridge.Inlet) {
	for {
		items, err := s.inbox.next(ctx)
		if err != nil {
			return
		}
		for n, i := range items {
			if err := s.offerOne(ctx, in, i); err != nil {
				for _, rest := range items[n+1:] {
					rest.letGo()
				}
				return
			}
		}
	}
}

func (s *Side) offerOne(ctx context.Context, in bridge.Inlet, i *item) error {
	if i.p.QoS > 0 && !i.k.offers() {
		i.letGo()
		return nil
	}
	if i.probe {
		i.k.acks.await(i)
		i.decided(nil)
		return nil
	}
	o := s.judge(i)
	if i.p.QoS > 0 {
		have, err := s.have(ctx, s.session.Received.Known(i.k.gen, i.p))
		if err != nil {
			i.letGo()
			return err
		}
		if have { // a message is offered once by a wire
			i.k.acks.await(i)
			i.decided(nil)
			return nil
		}
		row, state := s.session.Received.Open(i.k.gen, i.p)
		i.row, o.State = row, stateRows(state)
	}
	i.k.acks.await(i)
	o.Ack = func(err error) { i.decided(err) }
	if err := in.Offer(ctx, o); err != nil {
		i.decided(errStopped)
		return err
	}
	return nil
}

// discard lets go what was never offered.
func (s *Side) discard() {
	s.inbox.mu.Lock()
	got := s.inbox.queue
	s.inbox.queue = nil
	s.inbox.mu.Unlock()
	for _, i := range got {
		i.letGo()
	}
}

// have tells whether the journal has the message of a row. A pending commit is waited for.
func (s *Side) have(ctx context.Context, known *session.ReceivedID) (bool, error) {
	if known == nil {
		return false, nil
	}
	select {
	case <-known.Done():
		return known.Taken(), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// judge says what the wire itself knows of a message.
func (s *Side) judge(i *item) bridge.Inbound {
	p := i.p
	o := bridge.Inbound{Body: p.Payload, Redelivered: p.Dup, Gen: i.k.gen, Redelivers: true}
	to, ok := s.inboxOf(p.Topic)
	o.To = to
	if p.Expiry != nil { // in whole seconds, of which the last may not be over
		o.Expires = max(*p.Expiry, time.Second)
	}
	switch {
	case p.Retain:
		// Without the bridge bit a live one came without the flag, was relayed, and comes again with it after a new
		// subscription.
		o.Refused, o.Stored = bridge.Refuse("retained", "retained messages are not relayed"), true
	case !ok:
		o.Refused = bridge.Refuse("bad_topic", "the topic is not the inbox of a landline")
	case len(p.Payload) > s.cfg.MaxMessage:
		o.Refused = bridge.Refuse("too_large", "the message is longer than %d bytes", s.cfg.MaxMessage)
	}
	return o
}

// letGo drops a message unacknowledged.
func (i *item) letGo() {
	i.k.s.inbox.free(i.size)
	i.k.taken(-1)
}
