package xmppside

import (
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// fastPath hands over plain messages that were not read by mellium's decoder.
type fastPath struct {
	scanner *stanza.Scanner
	take    func(sm.Handle, *stanza.Element)
	last    *stanza.Element // scanned last
}

func newFastPath(own string, take func(sm.Handle, *stanza.Element)) *fastPath {
	return &fastPath{scanner: stanza.NewScanner(own), take: take}
}

// Scan reads one stanza.
func (f *fastPath) Scan(next []byte) (n int) {
	f.last, n = f.scanner.Scan(next)
	return n
}

// Handle passes on what Scan has read.
func (f *fastPath) Handle(m sm.Handle) {
	e := f.last
	f.last = nil
	f.take(m, e)
}
