package session

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"chatrelay/internal/wait"
)

const (
	slowestLine = 8 << 10  // bytes a second: the slowest line that allowance is made for
	unsteady    = 8        // times slower than its last long packet a line may become
	longPacket  = 16 << 10 // shorter ones take no time that is worth an allowance
	mostBusy    = time.Minute
)

// LineTime is how long so many bytes may take one way.
func LineTime(n int) time.Duration { return time.Duration(n) * time.Second / slowestLine }

// timedOut tells an end of a connection that is our own doing, or the network's, from one that the far end wanted.
func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// pace judges whether the far end of a connection is silent for too long. A long packet on a slow line keeps the
// answers to pings away, and is no silence; nor is it one while nobody reads.
type pace struct {
	listens atomic.Bool  // the reader waits for bytes
	read    atomic.Int64 // when the last bytes came, or the reader began to wait; ns
	busy    atomic.Int64 // until when what was written may keep the line; ns
	long    atomic.Int64 // what ends with its answer, for the last long one: its packet id, or minus the number of a ping behind it
	length  atomic.Int64 // its bytes
	left    atomic.Int64 // when it was written; ns
	speed   atomic.Int64 // bytes a second that the line is good for, as the last long one showed; 0: not known
}

// sends makes allowance for a long packet of n bytes, until what is known by answer has come.
func (p *pace) sends(n int, answer int64, now time.Time) {
	p.long.Store(answer)
	p.length.Store(int64(n))
	p.left.Store(wait.Running(now))
	for {
		was := p.busy.Load()
		until := max(was, wait.Running(now)) + int64(n)*int64(time.Second)/max(p.speed.Load(), slowestLine)
		if p.busy.CompareAndSwap(was, min(until, wait.Running(now.Add(mostBusy)))) {
			return
		}
	}
}

// answered ends the allowance: the last long packet has arrived, and so has all before it.
// It shows how fast the line is, so that one that is broken under the next long packet is not mistaken for a slow one.
func (p *pace) answered(answer int64) {
	until, length, left := p.busy.Load(), p.length.Load(), p.left.Load()
	if p.long.Load() == answer && p.busy.CompareAndSwap(until, 0) { // fails if another long one left meanwhile
		p.speed.Store(length * int64(time.Second) / max(wait.Running(time.Now())-left, 1) / unsteady)
	}
}

// silent tells whether nothing has come for a time, although somebody listened and the line was not busy.
func (p *pace) silent(now time.Time, limit time.Duration) bool {
	return p.listens.Load() && wait.Running(now)-max(p.read.Load(), p.busy.Load()) >= int64(limit)
}

// quiet tells whether nothing has come for a time.
func (p *pace) quiet(now time.Time, limit time.Duration) bool {
	return wait.Running(now)-p.read.Load() >= int64(limit)
}

// pacedReader notes when bytes come.
type pacedReader struct {
	io.Reader
	p *pace
}

func (r pacedReader) Read(b []byte) (int, error) {
	r.p.read.Store(wait.Running(time.Now()))
	r.p.listens.Store(true)
	n, err := r.Reader.Read(b)
	r.p.listens.Store(false)
	r.p.read.Store(wait.Running(time.Now()))
	return n, err
}
