package mqttside

import (
	"context"
	"encoding/json"
	"time"

	"chatrelay/internal/wait"
	"chatrelay/mqttside/session"
)

const (
	quickEnd    = 2 * time.Second // a connection that ends so soon after its login may have been taken over
	fightWindow = time.Minute
	fightLimit  = 3

	standbyWait  = 10 * time.Second // before taking the session back
	standbyTries = 6
)

// fights notices that somebody else logs in with our client id: the broker then ends the older connection
// (MQTT-3.1.4-2), and two clients that both come back at once fight for ever.
type fights struct {
	ends   []time.Time // of quick connections, the last minute's
	idle   int         // how many of the last in a row carried nothing
	warned bool
	looked time.Time // for other relays
}

// fought tells, after a connection has closed, whether to stand back. Cut connections that carried messages are not taken
// for a fight unless another relay says that it is online.
func (f *fights) fought(ctx context.Context, s *Side, k *connection) bool {
	now := time.Now()
	quick, theirs := k.ended(quickEnd)
	if !quick || !theirs {
		f.idle, f.warned = 0, false
		return false
	}
	f.ends = append(f.ends, now)
	for len(f.ends) > 0 && now.Sub(f.ends[0]) > fightWindow {
		f.ends = f.ends[1:]
	}
	if f.idle++; k.carried() {
		f.idle = 0
	}
	if !f.warned && (len(f.ends) <= fightLimit || f.idle <= fightLimit && !s.another(ctx, k)) {
		return false
	}
	if !f.warned {
		s.log.Error().Str("clientId", s.cfg.ClientID).
			Str("fix", "stop one of them: one relay per account and topic prefix; if it is no relay, give it another client id").
			Msg("another client uses our client id: each throws the other out. Standing back")
		f.warned = true
	}
	return true
}

// yield waits as long as another relay is online, but not for ever: its last word may be stale.
func (s *Side) yield(ctx context.Context, k *connection) {
	for range standbyTries {
		if !wait.Pause(ctx, standbyWait+wait.Jitter(standbyWait/2)) || !s.another(ctx, k) {
			return
		}
	}
}

// another asks the status topic whether another process is online under our client id.
func (s *Side) another(ctx context.Context, k *connection) bool {
	if s.cfg.StatusTopic == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout/2)
	defer cancel()
	t, err := s.sideLogin(ctx, k.url)
	if err != nil {
		return false
	}
	defer t.end()
	if _, err := t.conn.Subscribe(session.Filter{Topic: s.cfg.StatusTopic, QoS: 1}); err != nil {
		return false
	}
	p, err := t.next()
	if err != nil {
		return false
	}
	var other presence
	err = json.Unmarshal(p.Payload, &other)
	return err == nil && other.Status == "online" && other.Instance != "" && other.Instance != s.instance
}
