package pg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"chatrelay/internal/journal/sqlite"
	"chatrelay/internal/wait"
)

// The lease is by the database's clock. Its holder counts from before it asked, so that it ends earlier for itself than for others.
const (
	leaseFor   = 3 * time.Second
	beatEvery  = 750 * time.Millisecond
	askEvery   = 200 * time.Millisecond
	lockedMost = time.Second // a commit that is under way holds the lease's row: the next try waits anew
)

// ErrLost says that this relay may not go on with the journal: its lease is over, or another relay's. The process must end, and may
// start again as a standby. Nothing that was not answered is lost by that.
var ErrLost = errors.New("another relay may have taken over")

// lease is the right to write, while it is held.
type lease struct {
	epoch int64
	stop  context.CancelFunc
	ended chan struct{} // closed when it is not renewed any more
	lost  chan error    // capacity 1: it is lost once

	mu    sync.Mutex    // guards until
	until time.Duration // by Store.elapsed
}

// Lead waits until nobody else holds the lease, takes it and keeps it until Close. waits is called once if it has to wait.
func (s *Store) Lead(ctx context.Context, waits func()) error {
	var l *link
	defer func() { l.close() }()
	for said := false; ; {
		if !l.alive() {
			l, _ = s.dial(ctx) // a database that is away comes back
		}
		if l.alive() {
			began := s.elapsed()
			epoch, err := s.take(l)
			switch {
			case err == nil && epoch > 0:
				return s.hold(epoch, began+leaseFor)
			case err != nil && !errors.Is(err, sqlite.ErrFull):
				return fmt.Errorf("take the lease: %w", err)
			case err != nil:
				l.close()
				l = nil
			}
		}
		if !said && waits != nil {
			said = true
			waits()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait.Jitter(askEvery)):
		}
		if err := s.endedWith(); err != nil {
			return err
		}
	}
}

// take tries it once; 0: another one holds it. The row is locked as if its key changed: that waits for commits under way, which the
// holder's renewals do not.
func (s *Store) take(l *link) (epoch int64, err error) {
	rows, err := l.simple(s.text(fmt.Sprintf(`BEGIN; SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = 0;
		WITH free AS MATERIALIZED (SELECT one FROM @lease WHERE until < clock_timestamp() FOR UPDATE)
		UPDATE @lease l SET epoch = l.epoch + 1, holder = '%s', until = clock_timestamp() + interval '%d ms' FROM free WHERE l.one = free.one RETURNING l.epoch::text;
		COMMIT`, lockedMost.Milliseconds(), s.holder, leaseFor.Milliseconds())))
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	_, err = fmt.Sscan(string(rows[0][0]), &epoch)
	return epoch, err
}

// hold begins to renew the lease.
func (s *Store) hold(epoch int64, until time.Duration) error {
	ctx, stop := context.WithCancel(context.Background())
	x := &lease{epoch: epoch, stop: stop, ended: make(chan struct{}), lost: make(chan error, 1), until: until}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil || s.lease != nil {
		stop()
		return errors.Join(s.ended, errors.New("the lease is held already, or was"))
	}
	s.lease = x
	go s.renew(ctx, x) // release waits for it
	return nil
}

// renew keeps the lease. Once it is over no connection of the store is left.
func (s *Store) renew(ctx context.Context, x *lease) {
	defer close(x.ended)
	var l *link
	defer func() { l.close() }()
	for {
		left := x.left(s.elapsed())
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(beatEvery, max(left, 0))):
		}
		err := x.check(s.elapsed())
		if err == nil {
			l, err = s.beat(ctx, l, x)
		}
		if err != nil && ctx.Err() == nil {
			s.end(err)
			x.lost <- err
			return
		}
	}
}

// beat renews it once, if the database answers while it lasts. Not synchronously: the row's lock would wait for the standby.
func (s *Store) beat(ctx context.Context, l *link, x *lease) (*link, error) {
	left := x.left(s.elapsed())
	if !l.alive() {
		to, cancel := context.WithTimeout(ctx, left)
		defer cancel()
		var err error
		if l, err = s.dial(to); err != nil {
			return nil, x.check(s.elapsed())
		}
	}
	_ = l.raw.SetDeadline(time.Now().Add(left)) // an error of it is one of the connection, which comes next
	began := s.elapsed()
	rows, err := l.simple(s.text(fmt.Sprintf(`BEGIN; SET LOCAL synchronous_commit = local; SET LOCAL statement_timeout = 0;
		UPDATE @lease SET until = clock_timestamp() + interval '%d ms' WHERE epoch = %d AND holder = '%s' RETURNING '1'; COMMIT`,
		leaseFor.Milliseconds(), x.epoch, s.holder)))
	switch {
	case err == nil && len(rows) == 1:
		x.extend(began + leaseFor)
		return l, nil
	case err == nil:
		return l, fmt.Errorf("%w: the lease is not ours any more", ErrLost)
	}
	l.close()
	if errors.Is(err, sqlite.ErrFull) {
		return nil, x.check(s.elapsed())
	}
	return nil, fmt.Errorf("%w: renew the lease: %w", ErrLost, err)
}

func (x *lease) left(now time.Duration) time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.until - now
}

func (x *lease) extend(until time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.until = until
}

// check tells whether the lease lasts. A process that was stopped, or a machine that slept, finds that it does not.
func (x *lease) check(now time.Duration) error {
	if left := x.left(now); left <= 0 {
		return fmt.Errorf("%w: the lease could not be renewed in time, it ended %v ago", ErrLost, -left)
	}
	return nil
}

// Held is nil while this relay may write, to the database or to a wire. Whoever writes asks just before.
func (s *Store) Held() error {
	s.mu.Lock()
	x, ended := s.lease, s.ended
	s.mu.Unlock()
	switch {
	case ended != nil:
		return ended
	case x == nil:
		return fmt.Errorf("%w: the lease is not held", ErrLost)
	}
	return x.check(s.elapsed())
}

// Lost gives the error by which the lease was lost, if it is. Only once it is held.
func (s *Store) Lost() <-chan error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease.lost
}

// Epoch is the number of the lease that is held; 0: none is.
func (s *Store) Epoch() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		return 0
	}
	return s.lease.epoch
}

func (s *Store) endedWith() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// release gives the lease up, so that a standby need not wait for its end.
func (s *Store) release() error {
	s.mu.Lock()
	x := s.lease
	s.mu.Unlock()
	if x == nil {
		return nil
	}
	x.stop()
	<-x.ended
	if s.Held() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), x.left(s.elapsed()))
	defer cancel()
	l, err := s.dial(ctx)
	if err != nil {
		return nil // it ends by itself
	}
	defer l.close()
	_ = l.raw.SetDeadline(time.Now().Add(leaseFor)) // an error of it is one of the connection, which comes next
	if _, _, err = l.run(s.text("UPDATE @lease SET until = '-infinity' WHERE epoch = $1 AND holder = $2"), x.epoch, s.holder); errors.Is(err, sqlite.ErrFull) {
		return nil
	}
	return err
}
