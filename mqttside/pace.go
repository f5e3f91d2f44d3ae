package mqttside

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	slowestLine = 8 << 10  // bytes a second: the slowest line that the relay makes allowance for
	longPacket  = 16 << 10 // shorter ones take no time that is worth an allowance
	mostBusy    = time.Minute
)

// lineTime is how long so many bytes may take one way.
func lineTime(n int) time.Duration { return time.Duration(n) * time.Second / slowestLine }

// timedOut tells an end of a connection that is our own doing, or the network's, from one that the far end wanted.
func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// pace judges whether the far end of a connection is silent for too long. A long packet on a slow line keeps the
// answers to pings away, and is no silence.
type pace struct {
	read atomic.Int64 // when the last bytes came; ns
	busy atomic.Int64 // until when what was written may keep the line; ns
}

// sends makes allowance for a packet of n bytes.
func (p *pace) sends(n int, now time.Time) {
	if n < longPacket {
		return
	}
	for {
		was := p.busy.Load()
		until := max(was, now.UnixNano()) + int64(lineTime(n))
		if p.busy.CompareAndSwap(was, min(until, now.Add(mostBusy).UnixNano())) {
			return
		}
	}
}

// silent tells whether nothing has come for a time, although the line was not busy.
func (p *pace) silent(now time.Time, limit time.Duration) bool {
	return now.UnixNano()-max(p.read.Load(), p.busy.Load()) > int64(limit)
}

// reader notes when bytes come.
func (p *pace) reader(r io.Reader) io.Reader {
	p.read.Store(time.Now().UnixNano())
	return pacedReader{r, p}
}

type pacedReader struct {
	io.Reader
	p *pace
}

func (r pacedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n > 0 {
		r.p.read.Store(time.Now().UnixNano())
	}
	return n, err
}
