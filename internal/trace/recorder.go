package trace

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
)

// Recorder writes down what happens. Its methods never wait for the disk and may be called from any goroutine; those of a nil
// Recorder do nothing.
type Recorder struct {
	log    zerolog.Logger
	clock  func() time.Time
	files  segments      // Run's own
	wakeup chan struct{} // capacity 1
	much   chan struct{} // capacity 1: there is enough for a write

	mu   sync.Mutex // guards all below
	text []byte     // what is not written yet
	back []byte     // what was written last, to be used again
	lost int        // lines that there was no room for
}

// What happens within gather is written at once, or as soon as it is so many bytes: a busy relay writes ten times a second. A kill
// loses what was not written yet.
const (
	gather      = 100 * time.Millisecond
	gatherBytes = 64 << 10
)

// mostUnwritten is how much may wait for a slow disk; what is more is not written.
const mostUnwritten = 1 << 20

// Options say where and how much.
type Options struct {
	Dir      string
	MaxBytes int64         // of all files together; 0: nothing is written
	MaxAge   time.Duration // a file whose last line is older goes
	Clock    func() time.Time
	Log      zerolog.Logger
}

// Open makes a Recorder that goes on behind what is there. nil: nothing is to be written.
func Open(o Options) (*Recorder, error) {
	if o.MaxBytes <= 0 || o.Dir == "" {
		return nil, nil
	}
	files, err := openSegments(o)
	if err != nil {
		return nil, err
	}
	return &Recorder{log: o.Log, clock: o.Clock, files: files, wakeup: make(chan struct{}, 1), much: make(chan struct{}, 1)}, nil
}

// Run writes until ctx ends, and then what is left.
func (r *Recorder) Run(ctx context.Context) error {
	if r == nil {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		select {
		case <-r.wakeup:
		case <-ctx.Done():
		}
		more := time.NewTimer(gather)
		select {
		case <-more.C:
		case <-r.much:
		case <-ctx.Done():
		}
		more.Stop()
		r.flush()
	}
	return nil
}

// Close writes what is left. Run has ended.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.flush()
	return r.files.close()
}

// flush writes what waits. What cannot be written is lost, and said once until it goes again.
func (r *Recorder) flush() {
	r.mu.Lock()
	text, lost := r.text, r.lost
	r.text, r.lost, r.back = r.back[:0], 0, nil
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.back = text
		r.mu.Unlock()
	}()
	if lost > 0 {
		r.log.Warn().Int("lines", lost).Msg("the disk is too slow for the trace of messages: some of it is missing")
	}
	if len(text) == 0 {
		return
	}
	broken := r.files.broken
	err := r.files.write(text, r.clock())
	switch {
	case err != nil && !broken:
		r.log.Warn().Err(err).Msg("the trace of messages cannot be written; the messages are not concerned")
	case err == nil && broken:
		r.log.Info().Msg("the trace of messages is written again")
	}
}

// add writes lines: write appends them.
func (r *Recorder) add(lines int, write func(b []byte, at int64) []byte) {
	at := r.clock().UnixMilli()
	r.mu.Lock()
	if len(r.text) > mostUnwritten {
		r.lost += lines
	} else {
		r.text = write(r.text, at)
	}
	much := len(r.text) >= gatherBytes
	r.mu.Unlock()
	tell(r.wakeup)
	if much {
		tell(r.much)
	}
}

func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (r *Recorder) one(ref bridge.Ref, e Event, fields func(b []byte) []byte) {
	r.add(1, func(b []byte, at int64) []byte {
		b = appendLine(b, at, ref, false, e)
		if fields != nil {
			b = fields(b)
		}
		return append(b, '\n')
	})
}
