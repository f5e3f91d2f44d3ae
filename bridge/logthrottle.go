package bridge

import (
	"time"

	"github.com/rs/zerolog"
)

const (
	throttleFor  = time.Minute
	throttleKeys = 500
)

// logThrottle logs a repeated event when it starts and then at most once a minute, with the number left out.
// It is used by one goroutine. Keys are few words; should they be many after all, it forgets them.
type logThrottle struct {
	now  func() time.Time
	last map[string]*throttled
}

type throttled struct {
	at         time.Time
	suppressed int
}

func newLogThrottle(now func() time.Time) *logThrottle {
	return &logThrottle{now: now, last: make(map[string]*throttled)}
}

// event is the log event to fill for what key stands for, or nil (zerolog takes nil events) while it is suppressed.
func (h *logThrottle) event(key string, e func() *zerolog.Event) *zerolog.Event {
	now := h.now()
	l := h.last[key]
	if l == nil {
		if len(h.last) >= throttleKeys {
			clear(h.last)
		}
		l = &throttled{at: now.Add(-throttleFor)}
		h.last[key] = l
	}
	if now.Sub(l.at) < throttleFor {
		l.suppressed++
		return nil
	}
	skipped := l.suppressed
	l.at, l.suppressed = now, 0
	return e().Int("suppressed", skipped)
}
