package sm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// flush is the only writer of a ready connection: it takes what has gathered and writes it at once, so
// that stanzas go out in groups under load and without delay when idle.
func (l *Connection) flush() {
	var buf []byte
	for {
		var last bool
		if buf, last = l.batch(buf[:0]); len(buf) > 0 {
			if _, err := l.transport.send(buf); err != nil {
				l.fail(err)
				return
			}
			l.left()
		}
		switch {
		case last:
			if l.finalErr != nil {
				l.fail(l.finalErr)
			}
			return
		case len(buf) > 0:
			continue
		}
		select {
		case <-l.wake:
		case <-l.ctx.Done():
			return
		}
	}
}

// left notes that what batch collected is with the network.
func (l *Connection) left() {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	if l.ackedOut != l.acked {
		l.ackedOut = l.acked
		l.st.broadcast()
	}
}

// batch collects one write. Acknowledgements do not wait for stanzas that the journal has not committed.
func (l *Connection) batch(buf []byte) (out []byte, last bool) {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.current() || l.closed {
		return nil, true
	}
	room, block := l.room()
	alone := l.unread.bytes() == 0
	// A stanza that has room only on its own and what else there is take turns.
	tight := alone && !block && len(l.nonzaBytes)+nonzaSize+s.out.first(s.committed) > room
	if first := tight && !l.gaveWay && !l.verifying; first {
		l.gaveWay = true
	} else if buf = l.nonzas(buf, room, alone); len(buf) > 0 {
		l.gaveWay = false
	}
	if !l.verifying {
		buf = s.out.take(buf, s.committed, room, alone && !(tight && len(buf) > 0), s.single)
	}
	if len(buf) == 0 { // the stanza did not go after all
		buf = l.nonzas(buf, room, alone)
	}
	if l.final != nil {
		l.closed = true
		return append(buf, l.final...), true
	}
	if block {
		buf = pad(buf, s.cfg.ReadSize-len(askR))
	}
	// Acknowledgements of ours take room too, which only an answer gives back.
	buf = l.ask(buf, block || l.bounded() && l.unread.unasked() && (room < s.cfg.ReadSize/2 || s.out.first(s.committed) > 0))
	l.unread.write(len(buf), block)
	return buf, false
}

// nonzas appends what is not counted, as far as there is room. It comes first, or stanzas could take all the room each
// time.
func (l *Connection) nonzas(buf []byte, room int, alone bool) []byte {
	if alone || len(l.nonzaBytes) <= room {
		buf = append(buf, l.nonzaBytes...)
		l.nonzaBytes = l.nonzaBytes[:0]
	}
	if h := l.st.in.ackable(); l.managed && (l.owesA || h != l.acked) && len(buf)+nonzaSize <= room {
		buf = appendA(buf, h)
		l.acked, l.owesA = h, false
	}
	return buf
}

// nonzaSize is the most that an <a/> or <r/> has.
const nonzaSize = 48

const askR = "<r xmlns='" + NS + "'/>"

// appendA writes an <a/>.
func appendA(buf []byte, h uint64) []byte {
	buf = append(buf, "<a xmlns='"+NS+"' h='"...)
	buf = strconv.AppendUint(buf, uint64(uint32(h)), 10)
	return append(buf, "'/>"...)
}

// ask requests an acknowledgement, one at a time unless it must: each answer brings on the next question, so that
// there is one for each stanza when idle and few under load. s.mu is held.
func (l *Connection) ask(buf []byte, must bool) []byte {
	s := l.st
	w := s.out.written()
	if !(l.wantsR && l.fits(len(buf))) && !must && (w <= l.asked || l.awaiting && w-l.asked < uint64(s.cfg.AskCount)) {
		return buf
	}
	now := s.cfg.Clock.Now()
	pings := pingsAtOnce(l, l.st.tick(), now)
	l.wantsR, l.awaiting, l.asked, l.askedAt = false, true, w, now
	if l.managed {
		buf = append(buf, askR...)
		l.unread.ask(len(buf), w, l.askedAt)
		return buf
	}
	for range pings { // Its number is that of the last stanza which its answer speaks for: its own.
		l.asked = s.out.top + 1
		s.out.add(l.fence.ping(l.asked), nil)
		l.fence.pings = append(l.fence.pings, l.asked)
	}
	return s.out.take(buf, s.committed, math.MaxInt, true, s.single)
}

// rejectCount ends the stream because the server cannot be right (XEP-0198 §4, handled-count-too-high).
func (l *Connection) rejectCount(err error) {
	l.st.mu.Lock()
	if l.final == nil {
		l.finalErr = err
		l.final = []byte("<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" +
			"<handled-count-too-high xmlns='" + NS + "'/></stream:error>" + streamClose)
	}
	l.wake.Set()
	l.st.mu.Unlock()
}

// waitCommits waits for the journal and lets stanzas and acknowledgements pass as it commits.
func (l *Connection) waitCommits() {
	s := l.st
	for {
		s.mu.Lock()
		want, due := s.want, s.want > s.committed
		if due {
			l.waiting = s.cfg.Clock.Now()
		}
		s.mu.Unlock()
		if !due {
			select {
			case <-l.wakeGate:
				continue
			case <-l.ctx.Done():
				return
			}
		}
		if err := s.cfg.Journal.Wait(l.ctx, want); err != nil {
			if l.ctx.Err() == nil || !errors.Is(err, l.ctx.Err()) {
				l.undo(fmt.Errorf("%w: %w", ErrJournal, err))
			}
			return
		}
		if err := s.verify(l.ctx, want); err != nil {
			l.undo(fmt.Errorf("%w: %w", ErrJournal, err))
			return
		}
		l.pass(want)
	}
}

// verify asks for each ticket up to want by itself: the commit of an older one may have failed before the one
// that was waited for was even begun.
func (s *Stream) verify(ctx context.Context, want uint64) error {
	s.mu.Lock()
	var tickets []uint64
	for _, it := range s.out.queue {
		if it.ticket > s.committed && it.ticket < want {
			tickets = append(tickets, it.ticket)
		}
	}
	if s.in.saving != 0 && s.in.ticket < want {
		tickets = append(tickets, s.in.ticket)
	}
	s.mu.Unlock()
	for _, n := range tickets {
		if err := s.cfg.Journal.Wait(ctx, n); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (l *Connection) pass(ticket uint64) {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	l.waiting = time.Time{}
	s.committed = max(s.committed, ticket)
	s.in.committed(ticket)
	s.progress()
	l.wake.Set()
}
