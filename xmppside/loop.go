package xmppside

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/sm"
)

const (
	stableAfter   = 5 * time.Second // a connection that lived so long shows that all is well
	passwordRetry = time.Second     // at a password that was refused
)

// backoffs are how long to wait after which kind of failure.
type backoffs struct{ connect, login, conflict wait.Backoff }

// loop connects again and again. Owned by Run's goroutine, and by prepare's, which that begins and awaits.
type loop struct {
	s       *Side
	gen     uint64
	relogin bool // the last connection ended so that the next is made at once
	redone  bool // the last connection ended because something could not be kept
}

// run connects and reconnects until ctx ends.
func (o *loop) run(ctx context.Context) {
	s := o.s
	var w backoffs
	failure := fix.Failure{Side: fix.XMPP}
	for ctx.Err() == nil {
		err := o.once(ctx, &w, failure.Over)
		if ctx.Err() != nil {
			return
		}
		if o.relogin {
			o.relogin = false
			continue
		}
		explained, fresh := failure.See(ctx, time.Now(), err)
		s.setWhy(fix.Text(fix.XMPP, explained))
		if fresh {
			o.report(explained)
		}
		o.idle(ctx, &w, err)
	}
}

// once is one connection. The error says why it is over.
func (o *loop) once(ctx context.Context, w *backoffs, up func()) error {
	s := o.s
	if o.redone && s.inbox.settled(ctx) != nil {
		return ctx.Err()
	}
	if !s.archive.Resumable(s.st.Session().ID) {
		s.st.Forget()
	}
	c, err := s.connector.connect(ctx, s.st)
	if err != nil {
		return err
	}
	c.s = s
	end := o.serve(ctx, c)
	if ctx.Err() == nil && !o.relogin {
		s.cfg.lost(end)
	}
	o.redone = errors.Is(end.Err, sm.ErrRedo)
	if errors.Is(end.Err, sm.ErrTooLarge) {
		s.journal.Count(bridge.XMPP, "oversized", 1)
	}
	if o.relogin {
		return ended(end)
	}
	s.poison.blame(c, end)
	age := c.age(time.Now())
	if age > 0 {
		w.login.Reset()
		w.connect.Ease(2)
	}
	if age > stableAfter {
		w.connect.Reset()
		up()
	}
	if age > conflictDelay {
		w.conflict.Reset()
	}
	return ended(end)
}

// serve reads a connection until it is over, or until ctx ends and we have left in good order.
func (o *loop) serve(ctx context.Context, c *connection) sm.End {
	s := o.s
	if !c.l.Resumed() {
		s.archive.Gap()
	}
	if !c.own.isComponent() && (!c.l.Resumed() || !s.archive.Streams.IsReady(s.st.Session().ID)) { // a component has no store, and no archive
		c.holdback.begin(true)
	}
	if !c.l.Resumed() || o.redone {
		o.gen++
	}
	c.gen = o.gen
	s.mu.Lock()
	s.current = c
	s.mu.Unlock()
	c.wg.Go(c.prepare)
	c.wg.Go(func() { s.logoutWith(ctx, c) })
	if s.poison.single {
		c.wg.Go(func() { s.poison.leaveSingle(c.l.Context()) })
	}
	end := c.l.Serve(c.sess, c.handle, newFastPath(c.sess.LocalAddr().Bare().String(), c.message))
	s.setLive(nil, "not connected")
	c.wg.Wait()
	s.setLive(nil, "not connected") // prepare may have come last
	if s.poison.single && s.streams.unsuspicious() {
		s.poison.single = false
		s.st.Single(false)
	}
	return end
}

// streamError is how the server ended a stream.
type streamError struct{ condition, text string }

func (e *streamError) Error() string {
	if e.text != "" {
		return "the server closed the stream: " + e.condition + " (" + e.text + ")"
	}
	return "the server closed the stream: " + e.condition
}

func ended(end sm.End) error {
	switch {
	case end.Condition != "":
		return &streamError{end.Condition, end.Text}
	case end.Err == nil:
		return errors.New("the server closed the stream")
	}
	return fmt.Errorf("connection lost: %w", end.Err)
}

func isConflict(err error) bool {
	var e *streamError
	return errors.As(err, &e) && e.condition == "conflict" || errors.Is(err, sm.ErrRival)
}

// report says what is wrong, once.
func (o *loop) report(err error) {
	s := o.s
	switch {
	case isConflict(err) && s.cfg.Component:
		s.log.Error().Str("component", s.addr.own).
			Msg("another connection is the same component, and has it now; run one relay per component. Standing back")
	case isConflict(err):
		s.log.Error().Str("resource", s.cfg.Resource).
			Msg("another instance uses this resource and has thrown us out; run one relay per account and topic prefix. Standing back")
	case isLogin(err):
		s.log.Error().Err(err).Str("fix", fix.For(fix.XMPP, err)).
			Msg("the server does not let us in; trying again slowly, or at once when the password changes")
	default:
		s.log.Warn().Err(err).Str("fix", fix.For(fix.XMPP, err)).Msg("not connected; trying again")
	}
}

// idle waits before the next attempt.
func (o *loop) idle(ctx context.Context, w *backoffs, err error) {
	switch {
	case isConflict(err):
		wait.Pause(ctx, w.conflict.Grow(conflictDelay, conflictCap)+wait.Jitter(conflictDelay))
	case isLogin(err):
		o.awaitPassword(ctx, wait.Jitter(w.login.Grow(2*loginDelay, loginCap)))
	case fix.Certificate(err): // somebody has to put that right first
		wait.Pause(ctx, wait.Jitter(w.login.Grow(loginDelay, certificateCap)))
	default:
		wait.Pause(ctx, w.connect.Next(time.Now(), 0))
	}
}

// awaitPassword waits, but not longer than until there is another password.
func (o *loop) awaitPassword(ctx context.Context, d time.Duration) {
	s := o.s
	refused, _ := s.cfg.Password() // unreadable is as good as empty
	until := time.Now().Add(d)
	for left := d; left > 0; left = time.Until(until) {
		if !wait.Pause(ctx, min(left, passwordRetry)) {
			return
		}
		if now, err := s.cfg.Password(); err == nil && now != refused {
			return
		}
	}
}
