package mqttside

import (
	"errors"
	"time"

	"chatrelay/mqttside/session"
)

// leave ends in good order: what is in flight is waited for up to the drain time, then the broker is told.
func (s *Side) leave(k *connection) {
	k.drop("stopping")
	s.stop()
	limit := time.NewTimer(s.cfg.Drain)
	defer limit.Stop()
	for waiting := true; waiting; {
		change := s.changed.Wait()
		s.discard()
		if _, acked := k.dropped(); acked && !k.conn.Holds() && s.session.Empty() {
			break
		}
		select {
		case <-change:
		case <-k.conn.Closed():
			waiting = false
		case <-limit.C:
			s.log.Warn().Msg("drain time is over: what is in flight is resumed at the next start")
			waiting = false
		}
	}
	if k.alive() {
		s.announce(k, "offline")
		k.goodbye(errors.New("stopped"))
	}
	s.setLive(nil, "stopped")
	s.session.End(k.conn)
	k.conn.Join()
}

var errRenewed = errors.New("the connection is being renewed")

// renew ends a connection so that the broker brings again what was dropped. While the journal is full that comes
// again and again: the log hears of it once a minute.
func (k *connection) renew(now time.Time, why string) {
	if s := k.s; now.Sub(s.warnedAt) > sayRenew {
		s.warnedAt = now
		s.log.Info().Str("why", why).Msg("renewing the connection: the broker brings again what was not taken")
	}
	k.goodbye(errRenewed)
}

// goodbye sends DISCONNECT, so that the will stays where it is, and closes.
func (k *connection) goodbye(why error) {
	k.mu.Lock()
	k.parted = true
	k.mu.Unlock()
	k.conn.Disconnect(session.Parting{Why: why})
}
