package sm

import (
	"bytes"
	"math"
)

// ahead is how far what was written is ahead of what the server has certainly read, in bytes since the stream is
// ready.
type ahead struct {
	wrote, read int
	asks        []question // not answered
	blocks      bool       // all that is unread is whole blocks
}

// question is an <r/>: where it ends, and the last stanza before it.
type question struct {
	end int
	n   uint64
}

// blocksAhead is how many blocks may be unread.
const blocksAhead = 16

func (a *ahead) unread() int { return a.wrote - a.read }

// unasked tells whether no <r/> will show that all was read.
func (a *ahead) unasked() bool {
	return a.unread() > 0 && (len(a.asks) == 0 || a.asks[len(a.asks)-1].end < a.wrote)
}

// ask notes an <r/> that ends the next size bytes, behind stanza n.
func (a *ahead) ask(size int, n uint64) { a.asks = append(a.asks, question{a.wrote + size, n}) }

// write notes a write of n bytes. Only room says that it is to be a block.
func (a *ahead) write(n int, block bool) {
	if n > 0 {
		a.wrote, a.blocks = a.wrote+n, block
	}
}

// answered takes an <a/>: it answers the oldest question, and those before the last stanza that the server has.
func (a *ahead) answered(h uint64) {
	for one := true; len(a.asks) > 0 && (one || a.asks[0].n < h); one = false {
		a.read, a.asks = a.asks[0].end, a.asks[1:]
	}
}

// room is how many bytes the next write may have, and whether it has to be a block: exactly Config.ReadSize bytes,
// which the server reads at one go if all that is before it are blocks. So many of them may be under way, each
// one a TLS record that is read whole or not at all; without TLS nobody knows what is read at one go. Stanzas that
// do not fill a block wait until there is less than one unread. s.mu is held.
func (l *Link) room() (n int, block bool) {
	s := l.st
	bound := s.cfg.ReadSize
	if !l.managed || bound == 0 {
		return math.MaxInt, false
	}
	unread := l.ahead.unread()
	most := bound - nonzaSize // an <r/> is always possible
	fill := most - nonzaSize - len(l.loose)
	full := !l.proving && !s.single && l.final == nil && l.records && s.out.fills(s.committed, fill, bound*3/4)
	switch {
	case full && (unread == 0 || l.ahead.blocks && unread < blocksAhead*bound):
		return most, true
	case unread > 0 && full:
		return 0, false
	}
	return most - unread, false
}

// pad fills buf up with whitespace, which is nothing between stanzas (RFC 6120 §4.6.1).
func pad(buf []byte, size int) []byte {
	return append(buf, bytes.Repeat([]byte{' '}, max(0, size-len(buf)))...)
}
