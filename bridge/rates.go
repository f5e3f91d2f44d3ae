package bridge

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	atOnce    = 5      // seconds' worth of messages may come at once
	mostRates = 10_000 // senders that are told apart; those that have been quiet are forgotten first
)

// rates bounds what each sender may send that the wire has proven. By MQTT anybody could use up another's share. It is used by one
// goroutine.
type rates struct {
	perSecond int
	clock     func() time.Time
	of        map[string]*rate.Limiter
}

func newRates(perSecond int, clock func() time.Time) *rates {
	return &rates{perSecond: perSecond, clock: clock, of: map[string]*rate.Limiter{}}
}

// allow tells whether one more message may come from the sender of this one.
func (r *rates) allow(in *Inbound) bool {
	if r.perSecond == 0 || in.From == "" || in.Trusted || in.Redelivered {
		return true
	}
	now := r.clock()
	l := r.of[in.From]
	if l == nil {
		if len(r.of) >= mostRates {
			r.forget(now)
		}
		l = rate.NewLimiter(rate.Limit(r.perSecond), r.perSecond*atOnce)
		r.of[in.From] = l
	}
	return l.AllowN(now, 1)
}

// forget drops who has been quiet for long enough to have all of the share again; if nobody has, all.
func (r *rates) forget(now time.Time) {
	for who, l := range r.of {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(r.of, who)
		}
	}
	if len(r.of) >= mostRates {
		clear(r.of)
	}
}
