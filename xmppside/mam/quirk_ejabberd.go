package mam

import (
	"crypto/sha256"
	"encoding/binary"

	"chatrelay/xmppside/stanza"
)

// ejabberd 23.01 writes its archive by several processes at once, and names a message by the microsecond. So its archive has another
// order than what it hands on, and two messages may have one id (docs/decisions/0009).

// Overlap is how many of the last taken messages the cursor stands back, at least; at most it is twice that. ejabberd 23.01
// hands on in another order than its archive has them, where the senders differ: what is not there yet may stand before
// what was taken last. Seen; no issue is known. Test: TestBehindTheLast.
const Overlap = 32

// WireID is the lasting identity of a message that is in the archive. The archive's id alone is none with ejabberd 23.01: two
// that come in the same microsecond have the same. Seen; no issue is known. Test: TestSameMicrosecond.
func WireID(archived string, msg *stanza.Element) string {
	parts := []string{archived}
	if msg != nil {
		parts = append(parts, msg.Get("from"), msg.Get("id"))
		for _, b := range msg.All(stanza.NSClient, "body") {
			parts = append(parts, b.Text)
		}
	}
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // it never errs
		h.Write([]byte(part))
	}
	return string(h.Sum(nil))
}

// pageEdge is where one page ends and the next begins. Two messages can have one id (ejabberd 23.01's are microseconds), and
// a page can end between them: so the next one begins behind the id before the last, and what is known is skipped. Test:
// TestSameMicrosecond.
type pageEdge struct {
	before, last string          // ids of results; the newest is last
	known        map[string]bool // hashes of the results whose id is last
	news         bool            // this page had something new
}

// repeated tells whether a result is one of the page before.
func (e *pageEdge) repeated(r *Result) bool {
	if r.ID != e.last {
		e.before, e.last, e.known = e.last, r.ID, map[string]bool{}
	}
	if e.known[r.Hash] {
		return true
	}
	e.known[r.Hash], e.news = true, true
	return false
}

// next is behind which id the next page begins.
func (e *pageEdge) next(last string) string {
	news := e.news
	e.news = false
	if !news || e.before == "" || e.last != last {
		return last
	}
	return e.before
}
