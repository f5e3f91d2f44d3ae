package sm

import (
	"crypto/rand"
	"encoding/xml"
	"strings"

	"mellium.im/xmpp/stanza"
)

// NSComponent is the namespace of a component's stream (XEP-0114).
const NSComponent = "jabber:component:accept"

// stanzaSpace tells whether that is the namespace of stanzas, a client's or a component's.
func stanzaSpace(space string) bool { return space == stanza.NSClient || space == NSComponent }

// space is that of a connection's stanzas.
func (f *fence) space() string {
	if f.component != "" {
		return NSComponent
	}
	return stanza.NSClient
}

// ours tells whether from is our server, or our account by any of its names.
func ours(from, full string) bool {
	bare, _, _ := strings.Cut(full, "/")
	_, domain, _ := strings.Cut(bare, "@")
	return from == "" || from == domain || from == bare || from == full
}

func attr(start *xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// token is a name that nobody guesses.
func token() string { return rand.Text()[:16] }
