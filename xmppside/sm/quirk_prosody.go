package sm

import (
	"bytes"
	"math"
	"time"
)

// Prosody 0.12 feeds a resumed stream to the parser of the old one (no issue is known; docs/decisions/0006). If that stands within half
// a stanza, it swallows all we send. So no connection may break while the server has read less than a whole stanza, and a stream
// that was resumed must answer. Tests: TestHalfStanza, TestVoidIsRecognised, TestReadSize, TestBlocks.

// unread is how far what was written is ahead of what the server has certainly read, in bytes since the stream is
// ready.
type unread struct {
	wrote, read int
	asks        []question // not answered
	blocks      bool       // all that is unread is whole blocks
	most        int        // how many blocks may be unread: more with each quick answer; one at least
}

// question is an <r/>: where it ends, the last stanza before it, and when it was asked.
type question struct {
	end int
	n   uint64
	at  time.Time
}

const (
	blocksAhead = 16                     // how many blocks may be unread at most
	quick       = 250 * time.Millisecond // an answer: acknowledgements of ours shall not stand behind much that is read slowly
)

func (a *unread) bytes() int { return a.wrote - a.read }

// unasked tells whether no <r/> will show that all was read.
func (a *unread) unasked() bool {
	return a.bytes() > 0 && (len(a.asks) == 0 || a.asks[len(a.asks)-1].end < a.wrote)
}

// ask notes an <r/> that ends the next size bytes, behind stanza n.
func (a *unread) ask(size int, n uint64, now time.Time) {
	a.asks = append(a.asks, question{a.wrote + size, n, now})
}

// write notes a write of n bytes. Only room says that it is to be a block.
func (a *unread) write(n int, block bool) {
	if n > 0 {
		a.wrote, a.blocks = a.wrote+n, block
	}
}

// answered takes an <a h>: it answers the oldest question if the server has all before it, and each question that stands
// before a stanza which the server has.
func (a *unread) answered(h uint64, now time.Time) {
	for one := true; len(a.asks) > 0 && (a.asks[0].n < h || one && a.asks[0].n == h); one = false {
		q := a.asks[0]
		a.read, a.asks = q.end, a.asks[1:]
		if a.most = min(a.most+1, blocksAhead); now.Sub(q.at) > quick {
			a.most = 1
		}
	}
}

// room is how many bytes the next write may have, and whether it has to be a block: exactly Config.ReadSize bytes,
// which the server reads at one go if all that is before it are blocks. So many of them may be under way, each
// one a TLS record that is read whole or not at all; without TLS nobody knows what is read at one go. Stanzas that
// do not fill a block wait until there is less than one unread. s.mu is held.
func (l *Connection) room() (n int, block bool) {
	s := l.st
	bound := s.cfg.ReadSize
	if !l.bounded() {
		return math.MaxInt, false
	}
	unread := l.unread.bytes()
	most := bound - 2*nonzaSize // an <r/> is always possible, and to repeat it
	fill := most - nonzaSize - len(l.nonzaBytes)
	full := !l.verifying && !s.single && l.records && s.out.fills(s.committed, fill, bound*3/4)
	switch {
	case full && (unread == 0 || l.unread.blocks && unread < l.unread.most*bound):
		return most, true
	case unread > 0 && full:
		return 0, false
	}
	return most - unread, false
}

// bounded tells whether it matters what the server reads at a time.
func (l *Connection) bounded() bool { return l.managed && l.st.cfg.ReadSize > 0 }

// fits tells whether an <r/> behind n more bytes leaves the server with no more than it reads at a time, or ends a run of
// blocks.
func (l *Connection) fits(n int) bool {
	return !l.bounded() || l.unread.bytes()+n+len(askR) <= l.st.cfg.ReadSize || l.unread.blocks && n == 0
}

// pad fills buf up with whitespace, which is nothing between stanzas (RFC 6120 §4.6.1).
func pad(buf []byte, size int) []byte {
	return append(buf, bytes.Repeat([]byte{' '}, max(0, size-len(buf)))...)
}

// swallowed tells whether a resumed stream goes on in the parser of the old one: Prosody 0.12 answers no <r/> then, while its own
// stanzas may still come. What had gathered comes before the answer, and may take us long: only waiting for bytes counts. Test:
// TestVoidIsRecognised.
func (l *Connection) swallowed(now time.Time) bool {
	return l.verifying && l.idled(now) >= l.st.cfg.VerifyWithin
}
