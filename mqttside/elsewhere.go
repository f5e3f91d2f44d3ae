package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

const (
	elsewhereEvery = 2 * time.Second // between questions to a broker that the relay has left
	elsewhereLimit = time.Minute     // then what it acknowledged counts as not arrived
)

// elsewhere is what another broker acknowledged before the relay left it, and no probe has shown to be true: a probe at
// this broker says nothing of it. It is on the journal's list of unproven deliveries, in front of what came after it.
type elsewhere struct {
	host string
	last uint64    // the last one's (LastUnproven)
	left time.Time // when the relay was let in by another broker; of this process, after a restart
}

// leaveBroker notes that the relay goes on at another broker. s.mu is held.
func (s *Side) leaveBroker(host string, now time.Time) {
	if last := s.journal.LastUnproven(); last > s.settled {
		s.elsewhere = append(s.elsewhere, elsewhere{host: host, last: last, left: now})
		s.settled = last
		s.rememberElsewhere()
	}
}

// rememberElsewhere writes the list down. s.mu is held.
func (s *Side) rememberElsewhere() {
	var b strings.Builder
	for _, e := range s.elsewhere {
		fmt.Fprintf(&b, "%s %d\n", e.host, e.last)
	}
	row := bridge.StateRow{Key: stateElsewhere}
	if b.Len() > 0 {
		row.Value = []byte(b.String())
	}
	s.journal.SetState(bridge.MQTT, row)
}

// restoreElsewhere reads it back. What the journal's list does not reach any more is done. s.mu is held.
func (s *Side) restoreElsewhere(row []byte, now time.Time) {
	for line := range strings.Lines(string(row)) {
		host, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			s.settled = min(n, s.journal.LastUnproven())
			s.elsewhere = append(s.elsewhere, elsewhere{host, s.settled, now})
		}
	}
}

// oldestElsewhere is what must be settled next; false: there is none.
func (s *Side) oldestElsewhere() (elsewhere, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.elsewhere) == 0 {
		return elsewhere{}, false
	}
	return s.elsewhere[0], true
}

// settleElsewhere takes e off the list, if it still is the oldest: confirmed, or bounced for a reason.
func (s *Side) settleElsewhere(e elsewhere, why *bridge.Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.elsewhere) == 0 || s.elsewhere[0] != e {
		return
	}
	s.elsewhere = s.elsewhere[1:]
	if why == nil {
		s.journal.Confirm(bridge.MQTT, e.last)
	} else {
		s.journal.BounceUnconfirmed(bridge.MQTT, e.last, 0, why)
	}
	s.rememberElsewhere()
}

// confirm: a probe was heard at a broker. What it acknowledged up to a mark is certain; what another one did is not, and
// what stands behind that must wait for it.
func (s *Side) confirm(host string, last uint64) {
	for {
		e, some := s.oldestElsewhere()
		switch {
		case !some:
			s.mu.Lock()
			s.settled = max(s.settled, last)
			s.mu.Unlock()
			s.journal.Confirm(bridge.MQTT, last)
			return
		case e.host != host:
			return
		}
		s.settleElsewhere(e, nil)
	}
}

// bounceUnconfirmed: none of what was acknowledged and not confirmed may have arrived, but for messages up to a length.
func (s *Side) bounceUnconfirmed(longer int, why *bridge.Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = s.journal.LastUnproven()
	s.journal.BounceUnconfirmed(bridge.MQTT, s.settled, longer, why)
	if len(s.elsewhere) > 0 {
		s.elsewhere = nil
		s.rememberElsewhere()
	}
}

// askElsewhere asks the brokers that were left, beside the connection k, until all they acknowledged is settled or k ends.
func (s *Side) askElsewhere(ctx context.Context, k *connection) {
	ctx, cancel := k.during(ctx)
	defer cancel()
	for {
		e, some := s.oldestElsewhere()
		if !some {
			return
		}
		if e.host != k.url.Host { // else k's own probes settle it
			s.askOne(ctx, e)
		}
		if !wait.Pause(ctx, elsewhereEvery) {
			return
		}
	}
}

// askOne lets a probe go round at a broker that was left. One that is not reached for long counts as one that is not
// heard there: its messages may be lost with it.
func (s *Side) askOne(ctx context.Context, e elsewhere) {
	err := errors.New("it is not configured any more")
	heard := false
	for _, u := range s.urls {
		if u.Host == e.host {
			heard, err = s.hearBeside(ctx, u)
		}
	}
	switch {
	case ctx.Err() != nil:
	case err == nil && heard:
		s.settleElsewhere(e, nil)
	case err == nil:
		s.log.Error().Str("broker", e.host).Str("fix", aclLine(&s.cfg, &url.URL{})).
			Msg("a broker that was left drops what the relay publishes to the inboxes: what it acknowledged last may not have arrived")
		s.settleElsewhere(e, bridge.Refuse("no_right", "it may not have arrived: the broker dropped what was published to the inboxes"))
	case time.Since(e.left) >= elsewhereLimit:
		s.log.Warn().Str("broker", e.host).Err(err).
			Msg("a broker that was left does not come back: what it acknowledged last may not have arrived")
		s.settleElsewhere(e, bridge.Refuse("unconfirmed", "it may not have arrived: its MQTT broker went away before it was proven"))
	}
}

// hearBeside lets a probe go round on a second login at a broker.
func (s *Side) hearBeside(ctx context.Context, u *url.URL) (bool, error) {
	if s.brokers.single(u.Host, time.Now()) {
		return false, errBeside
	}
	limited, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	t, err := s.sideLogin(limited, u)
	if err != nil {
		return false, err
	}
	l, err := listen(t, s.prover.topic)
	if err != nil {
		return false, err
	}
	defer l.close()
	return hears(ctx, l, l, s.prover.topic, probeLeast, probeTimeLimit)
}
