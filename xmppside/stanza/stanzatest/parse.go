// Package stanzatest reads stanzas for tests.
package stanzatest

import (
	"encoding/xml"
	"fmt"
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

// OccupantPresence is the presence of an occupant (XEP-0045 §7.2.2): real is its own JID where the room shows it,
// codes are the status codes, with spaces between.
func OccupantPresence(room, nick, real, codes string) string {
	item := ""
	if real != "" {
		item = fmt.Sprintf(" jid='%s'", real)
	}
	out := fmt.Sprintf("<presence from='%s/%s'><x xmlns='%s'><item affiliation='none' role='participant'%s/>", room, nick, stanza.NSMUCUser, item)
	for c := range strings.FieldsSeq(codes) {
		out += "<status code='" + c + "'/>"
	}
	return out + "</x></presence>"
}
