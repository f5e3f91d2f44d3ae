package xmppside

import "context"

// logoutWith waits until ctx or the connection ends. When ctx ends first it leaves in good order: nothing more is sent,
// what is queued is confirmed, what came is in the journal and acknowledged, and the server is told. What is not
// done within the drain time is resumed at the next start.
func (s *Side) logoutWith(ctx context.Context, c *connection) {
	select {
	case <-ctx.Done():
	case <-c.l.Context().Done():
		return
	}
	s.stop()
	s.st.StopSending()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Drain)
	defer cancel()
	s.awaitReflections(drain)
	if c.own.isComponent() {
		s.sendUnavailable(drain, c)
	}
	if err := c.l.Logout(drain); err != nil && drain.Err() != nil {
		s.log.Warn().Err(err).Msg("drain time is over: what is in flight is resumed at the next start")
	}
}

// awaitReflections waits for what rooms have not reflected yet, within half of the time there is. What is left is looked
// for at the next start.
func (s *Side) awaitReflections(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Drain/2)
	defer cancel()
	for {
		change := s.changed.Wait()
		if s.rooms.Posts.Idle() {
			return
		}
		select {
		case <-change:
		case <-ctx.Done():
			return
		}
	}
}
