package sm

import (
	"context"
	"fmt"
	"time"

	"chatrelay/internal/wait"
)

// watch looks at the connection a few times in VerifyWithin. Nothing of mellium's would notice that the other
// side is gone.
func (l *Connection) watch() {
	clock, tick := l.st.cfg.Clock, l.st.tick()
	last := clock.Now()
	for {
		select {
		case <-clock.After(tick):
		case <-l.ctx.Done():
			return
		}
		now := clock.Now()
		if asleep := now.Sub(last) - 2*tick; asleep > 0 {
			l.skipStalled(asleep, now)
		}
		last = now
		if err := l.check(now); err != nil {
			l.fail(err)
			return
		}
	}
}

// skipStalled leaves out of account for how long this process was stopped, or its machine: neither the server nor the journal
// is to blame. What happened since does not count as later than now.
func (l *Connection) skipStalled(asleep time.Duration, now time.Time) {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	if !l.waiting.IsZero() {
		l.waiting = l.waiting.Add(min(asleep, now.Sub(l.waiting)))
	}
	heard := l.heard.Load()
	l.heard.CompareAndSwap(heard, min(heard+int64(asleep), wait.Running(now))) // else it was heard from just now
	l.idle.Add(-int64(min(asleep, l.idled(now))))
}

// idled is for how long the reader has waited for bytes since the stream is ready.
func (l *Connection) idled(now time.Time) time.Duration {
	d := l.idle.Load()
	if since := l.blocked.Load(); since != 0 {
		d += wait.Running(now) - since
	}
	return time.Duration(d)
}

func (l *Connection) check(now time.Time) error {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := wait.At(l.heard.Load())
	silent := now.Sub(heard)
	switch {
	case l.swallowed(now):
		return fmt.Errorf("%w: <r/> is not answered", ErrBroken)
	case silent >= s.cfg.DeadAfter+s.out.longest():
		return ErrSilent
	case !l.waiting.IsZero() && now.Sub(l.waiting) >= s.cfg.JournalTimeout:
		return fmt.Errorf("%w within %v", ErrJournal, s.cfg.JournalTimeout)
	case pingDue(l, now), now.Sub(l.askedAt) >= s.cfg.AskEvery && (silent >= s.cfg.AskEvery || s.out.written() > s.out.acked):
		l.wantsR = true
		l.wake.Set()
	}
	return nil
}

// undo takes back what the journal did not commit. Nothing of it has left. The owner of the journal knows of
// those whose binding failed; what was bound behind them is lost, lest it overtake them, and so is what is still
// bound as it was before.
func (l *Connection) undo(reason error) {
	l.fail(reason)
	s := l.st
	s.mu.Lock()
	var waiting []*item
	for _, it := range s.out.queue {
		if it.ticket > s.committed {
			waiting = append(waiting, it)
		}
	}
	want := s.want
	s.mu.Unlock()
	undone := s.undone(waiting)
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := false
	s.out.remove(func(it *item) bool {
		if it.Tag == nil {
			return false // an answer, to what will not come again
		}
		gone = gone || undone[it]
		if gone && (!undone[it] || it.kept) {
			s.lost = append(s.lost, it.Stanza)
		}
		return gone
	})
	s.committed = max(s.committed, want)
	if s.in.ticket > 0 && s.in.saving != 0 && s.in.ticket <= want {
		s.in.saving = 0
	}
}

// undone asks the journal which bindings failed.
func (s *Stream) undone(items []*item) map[*item]bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.JournalTimeout)
	defer cancel()
	m := map[*item]bool{}
	for _, it := range items {
		if s.cfg.Journal.Wait(ctx, it.ticket) != nil && ctx.Err() == nil {
			m[it] = true
		}
	}
	return m
}
