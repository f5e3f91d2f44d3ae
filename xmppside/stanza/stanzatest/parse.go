// Package stanzatest reads stanzas for tests.
package stanzatest

import (
	"encoding/xml"
	"strings"
	"testing"

	"chatrelay/xmppside/stanza"
)

// Parse reads a stanza as it would come.
func Parse(tb testing.TB, text string) *stanza.Element {
	tb.Helper()
	d := xml.NewDecoder(strings.NewReader("<stream xmlns='jabber:client'>" + text))
	for {
		tok, err := d.Token()
		if err != nil {
			tb.Fatal(err)
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Local != "stream" {
			e, err := stanza.Read(d, &start)
			if err != nil {
				tb.Fatal(err)
			}
			return e
		}
	}
}
