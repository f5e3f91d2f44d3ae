package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// senders each keep some messages in flight; inflight is all of them together.
const (
	senders  = 4
	inflight = 256
)

// path is one way from a sender to its receiver.
type path struct {
	name string
	send func(ctx context.Context, sender int, body string) error
	heard
	pid   func() int // of the relay on it; nil: there is none
	rates []float64  // messages a second, one a round
	cpu   []float64  // of the relay, µs a message
	p50   float64    // ms, at a pace
}

// heard is what a path's receivers do with each body. Loads change it while they listen.
type heard struct {
	arrived *atomic.Pointer[func(body string)]
}

func newHeard() heard {
	h := heard{new(atomic.Pointer[func(string)])}
	h.does(func(string) {})
	return h
}

func (h heard) does(f func(body string)) { h.arrived.Store(&f) }

func (h heard) hear(body string) { (*h.arrived.Load())(body) }

// result is one load over one path.
type result struct {
	rate   float64       // messages a second, closed load
	median time.Duration // from send to arrival
}

// serial makes bodies differ over a whole run.
var serial atomic.Int64

// envelope is about 300 bytes, with quotes, markup and emoji.
func envelope(from, to string) (id, body string) {
	id = fmt.Sprintf("bench %d <b>&amp;</b> \"quoted\" €😀 and some more words, so that it is about as long as people write", serial.Add(1))
	b, err := json.Marshal(map[string]any{"chatType": 1, "content": id, "from": from, "to": to, "contentType": 0, "groupJid": "",
		"groupName": "", "timeStamp": time.Now().UnixMilli(), "name": "Somebody", "photo": "https://example.org/p.png"})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return id, string(b)
}

// run sends n messages over a path, at most inflight of them under way; with a rate, at that pace.
func (p *path) run(b *testing.B, n, rate int) result {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	var mu sync.Mutex // guards sent, took
	sent, took := map[string]time.Time{}, make([]time.Duration, 0, n)
	room, done := make(chan struct{}, inflight), make(chan struct{})
	p.does(func(body string) {
		var e struct{ Content, Status string }
		if json.Unmarshal([]byte(body), &e) != nil || e.Status != "" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		at, ok := sent[e.Content]
		if !ok {
			return
		}
		delete(sent, e.Content)
		took = append(took, time.Since(at))
		<-room
		if len(took) == n {
			close(done)
		}
	})
	began := time.Now()
	g, sending := errgroup.WithContext(ctx)
	turns := pace(sending, n, rate)
	const hands = 16 // for each sender: a publish waits for its handshake
	for i := range senders * hands {
		g.Go(func() error {
			for range turns {
				select {
				case room <- struct{}{}:
				case <-sending.Done():
					return sending.Err()
				}
				from := i % senders
				id, body := envelope(name(from), name(from+senders))
				mu.Lock()
				sent[id] = time.Now()
				mu.Unlock()
				if err := p.send(sending, from, body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatalf("%s: %v", p.name, err)
	}
	select {
	case <-done:
	case <-ctx.Done():
		mu.Lock()
		defer mu.Unlock()
		b.Fatalf("%s: %d of %d arrived", p.name, len(took), n)
	}
	slices.SortFunc(took, cmp.Compare)
	return result{rate: float64(n) / time.Since(began).Seconds(), median: took[n/2]}
}

// pace gives n turns, as fast as they are taken or at a rate.
func pace(ctx context.Context, n, rate int) <-chan struct{} {
	turns := make(chan struct{})
	go func() { // ends with the last turn, or with ctx
		defer close(turns)
		began := time.Now()
		for i := range n {
			if rate > 0 {
				t := time.NewTimer(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				select {
				case <-t.C:
				case <-ctx.Done():
					t.Stop()
					return
				}
			}
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return turns
}

// name is a landline: senders are the first ones, receivers those behind them.
func name(i int) string { return fmt.Sprintf("%d", 1001+i) }
