package xmppside

import (
	"testing"

	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

// parse reads a stanza as it would come.
func parse(tb testing.TB, text string) *stanza.Element {
	tb.Helper()
	return stanzatest.Parse(tb, text)
}
