package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	commitLimit  = pingTimeout / 2        // older unwritten bytes: pings would wait behind a stuck commit
	writeTimeout = 5 * time.Second        // of one write to the network
	checkEvery   = 250 * time.Millisecond // at the connection's health
	crowdedFrom  = 1 << 20                // bytes that wait
	mostWrite    = 64 << 10               // bytes written at once
)

// outgoing is what is not written yet. Each packet needs every ticket that was raised before it, and only the prefix
// whose tickets are committed leaves. So no packet leaves before the journal has what it stands for, and writes share
// commits and system calls. Each ticket is asked for: one commit may fail between two that succeed.
type outgoing struct {
	buf     []byte
	segs    []segment
	due     []uint64 // tickets raised since the writer last took
	raised  int      // tickets ever raised
	pending int      // bytes not yet written
	wrote   time.Time
}

// segment is one packet in the buffer.
type segment struct {
	n    int
	need int // how many of the raised tickets must be committed first
	at   time.Time
	id   uint16 // of a PUBLISH that takes one
}

// Raise makes all later packets wait for a ticket.
func (c *Conn) Raise(ticket uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.due = append(c.out.due, ticket)
	c.out.raised++
}

func (c *Conn) send(p packet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(p)
}

// add puts packets in line. c.mu is held.
func (c *Conn) add(ps ...packet) error {
	if err := c.ending.closeReason(); err != nil {
		return err
	}
	now := time.Now()
	for _, p := range ps {
		switch n := c.out.put(c.in.codec, &p, now); {
		case n < longPacket:
		case p.PacketID != 0:
			c.pace.sends(n, int64(p.PacketID), now)
		default: // nothing answers it, but a ping behind it
			c.pace.sends(n, -int64(c.pings.ask()), now)
			c.out.put(c.in.codec, &packet{kind: kindPingreq}, now)
		}
		c.wake.Set()
	}
	return nil
}

// put puts one packet in line; its bytes.
func (o *outgoing) put(by codec, p *packet, now time.Time) int {
	before := len(o.buf)
	o.buf = by.append(o.buf, p)
	n := len(o.buf) - before
	o.segs = append(o.segs, segment{n: n, need: o.raised, at: now, id: p.PacketID})
	o.pending += n
	return n
}

// endMessage sends what ends a message, in its turn.
func (c *Conn) endMessage(kind byte, id uint16) {
	c.mu.Lock()
	held := c.order.holds()
	_ = c.add(c.order.end(kind, id, time.Now())...) // or it comes again
	held = held && !c.order.holds()
	c.mu.Unlock()
	if held {
		c.o.Handler.Changed()
	}
}

// Crowded tells whether so much waits for the network that no more should be sent.
func (c *Conn) Crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.pending > crowdedFrom
}

// settle waits until all is written, or for a time.
func (c *Conn) settle(limit time.Duration) {
	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		idle := c.idle.Wait()
		c.mu.Lock()
		quiet := c.out.pending == 0
		c.mu.Unlock()
		if quiet {
			return
		}
		select {
		case <-idle:
		case <-c.closed:
			return
		case <-t.C:
			return
		}
	}
}

// write writes what the journal has committed, keeps the connection alive and notices that it is dead, until it closes.
func (c *Conn) write(ctx context.Context) {
	var b batch
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.wake:
		case now := <-tick.C:
			c.check(now)
		case <-c.closed:
			return
		}
		for c.take(&b) {
			if err := b.write(ctx, c); err != nil {
				c.end(err, errors.Is(err, errWrite) && !timedOut(err))
				return
			}
		}
	}
}

// check lets out what has waited too long for its turn, asks for a sign of life where nothing passes, and ends a
// connection on which none comes.
func (c *Conn) check(now time.Time) {
	if c.pings.open(now, pingTimeout) && c.pace.silent(now, pingTimeout) {
		c.Close(ErrSilent)
		return
	}
	c.mu.Lock()
	held := c.order.holds()
	_ = c.add(c.order.skipStalled(now)...) // closed: the end of write is near
	held = held && !c.order.holds()
	// MQTT-3.1.2-23: something of ours goes out, also while an answer waits behind a backlog.
	if now.Sub(c.out.wrote) >= c.keepAlive || c.pace.quiet(now, c.keepAlive) && !c.pings.open(now, 0) {
		c.pings.ask()
		_ = c.add(packet{kind: kindPingreq})
	}
	c.mu.Unlock()
	if held {
		c.o.Handler.Changed()
	}
}

// take swaps the filled buffers for empty ones.
func (c *Conn) take(b *batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.out
	o.buf, b.buf = b.buf[:0], o.buf
	o.segs, b.segs = b.segs[:0], o.segs
	b.due = append(b.due, o.due...)
	o.due = o.due[:0]
	if cap(o.buf) > 4*crowdedFrom {
		o.buf = nil // a burst of long messages is not remembered for ever
	}
	return len(b.segs) > 0
}

func (c *Conn) wrote(n int) {
	c.mu.Lock()
	before := c.out.pending
	c.out.pending -= n
	now := c.out.pending
	c.out.wrote = time.Now()
	c.mu.Unlock()
	if now == 0 {
		c.idle.Wake()
	}
	if before > crowdedFrom && now <= crowdedFrom {
		c.o.Handler.Changed()
	}
}

// batch is what is being written.
type batch struct {
	buf     []byte
	segs    []segment
	due     []uint64 // raised tickets that are not known to be committed
	covered int      // how many are
}

func (b *batch) write(ctx context.Context, c *Conn) error {
	rest, segs := b.buf, b.segs
	for len(segs) > 0 {
		if err := b.cover(ctx, c, segs[0]); err != nil {
			return err
		}
		b.ask(c, segs[len(segs)-1].need)
		n := 0
		for len(segs) > 0 && segs[0].need <= b.covered {
			if segs[0].id != 0 {
				c.session.leaving(c, segs[0].id)
			}
			n += segs[0].n
			segs = segs[1:]
		}
		for part := range slices.Chunk(rest[:n], mostWrite) {
			if err := b.writePart(c, part); err != nil {
				return fmt.Errorf("%w: %w", errWrite, err)
			}
		}
		rest = rest[n:]
	}
	return nil
}

// writePart writes so much that even a slow line takes it in a few seconds: a far end that reads nothing is noticed then.
func (*batch) writePart(c *Conn, part []byte) error {
	if err := c.raw.SetWriteDeadline(time.Now().Add(writeTimeout + LineTime(len(part)))); err != nil {
		return err
	}
	if _, err := c.raw.Write(part); err != nil {
		return err
	}
	c.wrote(len(part))
	return nil
}

// cover waits for all commits that the first segment needs.
func (b *batch) cover(ctx context.Context, c *Conn, first segment) error {
	for b.covered < first.need {
		limited, cancel := context.WithDeadline(ctx, first.at.Add(commitLimit))
		err := c.session.journal.Wait(limited, b.due[0])
		cancel()
		if ctx.Err() != nil {
			return ctx.Err() // closed meanwhile
		}
		if err != nil {
			c.session.commitFailed(c)
			return fmt.Errorf("%w: %w", ErrJournal, err)
		}
		b.pop()
	}
	return nil
}

// ask takes in what the later segments need as far as that is committed. It does not wait.
func (b *batch) ask(c *Conn, need int) {
	for b.covered < need && c.session.journal.Wait(over, b.due[0]) == nil {
		b.pop()
	}
}

func (b *batch) pop() {
	b.due = b.due[1:]
	b.covered++
}

// over has ended: with it, Journal.Wait only asks.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
