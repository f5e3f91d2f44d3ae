package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	delayedAfter = 10 * time.Second // a sender is told that a message waits
	watchEvery   = 500 * time.Millisecond
)

// Watch tells senders of what has waited for long, once each, until ctx ends. tick nil: a ticker.
func Watch(ctx context.Context, queue Queue, tick <-chan time.Time) error {
	if tick == nil {
		t := time.NewTicker(watchEvery)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-tick:
		case <-ctx.Done():
			return nil
		}
		err := queue.Delayed(ctx, delayedAfter)
		switch {
		case err == nil, ctx.Err() != nil:
		case errors.Is(err, ErrFull): // the journal tries again by itself
		default:
			return fmt.Errorf("say what is delayed: %w", err)
		}
	}
}
