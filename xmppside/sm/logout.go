package sm

import (
	"context"
	"fmt"
)

const unavailable = "<presence type='unavailable'/>"

// Logout ends the stream in good order: no Send is taken any more; the server is told that we are
// unavailable, so that it brings nothing new; all that is queued is sent and acknowledged, all that came is
// done and acknowledged (else the server would deliver it again); then </stream:stream>, and the name is
// thrown away. Serve goes on meanwhile and returns behind it. If ctx ends earlier the connection is cut instead
// and the name is kept: a new process can resume, and nothing is lost or doubled.
func (l *Connection) Logout(ctx context.Context) error {
	s := l.st
	s.mu.Lock()
	s.over, s.open = true, false
	s.broadcast()
	if l.current() && l.ready && l.fence.component == "" { // a component has no presence of its own
		s.out.add([]byte(unavailable), nil)
		l.wake.Set()
	}
	s.mu.Unlock()
	return l.endStream(ctx)
}

// Leave ends the stream and its name in the same good order, where nothing of ours is queued and we are not available;
// the next Connection logs in anew and goes on.
func (l *Connection) Leave(ctx context.Context) error { return l.endStream(ctx) }

// endStream waits until neither side owes the other anything, and ends the stream and its name.
func (l *Connection) endStream(ctx context.Context) error {
	s := l.st
	if err := l.until(ctx, l.settled); err != nil {
		l.Close()
		return fmt.Errorf("sm: logout: %w; the stream is kept", err)
	}
	s.mu.Lock()
	if !l.current() {
		s.mu.Unlock()
		return fmt.Errorf("sm: logout: %w", ErrDown)
	}
	l.final = []byte(streamClose)
	if l.managed {
		l.final = append(appendA(nil, s.in.ackable()), l.final...)
	}
	l.managed = false // the counts end here
	s.forget()
	l.wake.Set()
	s.mu.Unlock()
	defer l.Close()
	return l.until(ctx, func() bool { return l.dead })
}

// settled tells whether neither side owes the other anything. s.mu is held.
func (l *Connection) settled() bool {
	s := l.st
	return len(s.out.queue) == 0 && len(s.early) == 0 && s.in.doneTo == s.in.finished && s.in.doneTo == s.in.handed && s.in.ackable() == s.in.doneTo
}

// until waits for something to be true, while the connection lives.
func (l *Connection) until(ctx context.Context, what func() bool) error {
	s := l.st
	for {
		s.mu.Lock()
		ok, dead, changed := what(), l.dead || s.connection != l, s.change()
		s.mu.Unlock()
		switch {
		case ok:
			return nil
		case dead:
			return ErrDown
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
