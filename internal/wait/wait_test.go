package wait

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Broadcast
		b.Wake() // nobody waits, and nothing is remembered
		var wg sync.WaitGroup
		for range 3 {
			ch := b.Wait()
			wg.Go(func() { <-ch })
		}
		synctest.Wait()
		later := make(chan struct{})
		b.Wake()
		wg.Wait()
		ch := b.Wait()
		go func() { <-ch; close(later) }()
		synctest.Wait()
		select {
		case <-later:
			t.Error("a Wake woke who waited after it")
		default:
		}
		b.Wake()
		<-later
	})
}

func TestSignal(t *testing.T) {
	s := NewSignal()
	s.Set()
	s.Set() // never blocks
	<-s
	select {
	case <-s:
		t.Error("two signals before a look are two")
	default:
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !Pause(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("%v, want a minute", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if Pause(ctx, time.Minute) {
			t.Error("a pause went on behind the end of its context")
		}
	})
}

func TestDelay(t *testing.T) {
	for _, tc := range []struct {
		n    int
		want time.Duration
	}{{0, time.Second}, {1, time.Second}, {2, 2 * time.Second}, {4, 8 * time.Second}, {7, time.Minute}, {1 << 30, time.Minute}} {
		if got := Delay(tc.n, time.Second, time.Minute); got != tc.want {
			t.Errorf("after %d failures %v, want %v", tc.n, got, tc.want)
		}
	}
}

// TestNext: short while an outage is young, longer when it lasts, and short again after it.
func TestNext(t *testing.T) {
	var b Backoff
	now := time.Now()
	for range 30 {
		if d := b.Next(now, 0); d < firstDelay/2 || d > shortCap {
			t.Fatalf("%v in a young outage", d)
		}
	}
	if d := b.Next(now.Add(longOutage+time.Second), 0); d < longCap/2 || d > longCap {
		t.Errorf("%v in a long outage", d)
	}
	b.Reset()
	if d := b.Next(now.Add(time.Hour), 0); d > firstDelay {
		t.Errorf("%v after a reset", d)
	}
	b.Reset()
	if d := b.Next(now, 3*time.Second); d < 3*time.Second/2 {
		t.Errorf("%v with a floor of 3 s", d)
	}
}
