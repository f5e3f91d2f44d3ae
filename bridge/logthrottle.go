package bridge

import (
	"time"

	"github.com/rs/zerolog"

	"chatrelay/internal/wait"
)

// logThrottle logs a repeated event when it starts and then at most once a minute, with the number left out.
// It is used by one goroutine.
type logThrottle struct {
	now    func() time.Time
	causes wait.Throttles
}

func newLogThrottle(now func() time.Time) *logThrottle { return &logThrottle{now: now} }

// event is the log event to fill for what key stands for, or nil (zerolog takes nil events) while it is suppressed.
func (h *logThrottle) event(key string, e func() *zerolog.Event) *zerolog.Event {
	due := h.causes.Add(key, h.now())
	if due == 0 {
		return nil
	}
	return e().Int64("suppressed", due-1)
}
