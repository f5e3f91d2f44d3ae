package bridge

import (
	"time"

	"github.com/rs/zerolog"
)

const (
	hushFor  = time.Minute
	hushKeys = 500
)

// hush logs a repeated event when it starts and then at most once a minute, with the number left out.
// It is used by one goroutine. Keys are few words; should they be many after all, it forgets them.
type hush struct {
	now  func() time.Time
	last map[string]*hushed
}

type hushed struct {
	at      time.Time
	skipped int
}

func newHush(now func() time.Time) *hush { return &hush{now: now, last: make(map[string]*hushed)} }

// event is the log event to fill for what key stands for, or nil (zerolog takes nil events) while it is hushed.
func (h *hush) event(key string, e func() *zerolog.Event) *zerolog.Event {
	now := h.now()
	l := h.last[key]
	if l == nil {
		if len(h.last) >= hushKeys {
			clear(h.last)
		}
		l = &hushed{at: now.Add(-hushFor)}
		h.last[key] = l
	}
	if now.Sub(l.at) < hushFor {
		l.skipped++
		return nil
	}
	skipped := l.skipped
	l.at, l.skipped = now, 0
	return e().Int("more_like_it", skipped)
}
