package stanza

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"mellium.im/xmlstream"
)

// Element is one XML element, read whole.
type Element struct {
	Name xml.Name
	Attr []xml.Attr
	Text string // directly in it, without that of its children
	Kids []*Element
}

// Namespaces.
const (
	NSClient   = "jabber:client"
	NSStanzas  = "urn:ietf:params:xml:ns:xmpp-stanzas"
	NSStreams  = "urn:ietf:params:xml:ns:xmpp-streams"
	NSDisco    = "http://jabber.org/protocol/disco#info"
	NSPing     = "urn:xmpp:ping"
	NSVersion  = "jabber:iq:version"
	NSMUC      = "http://jabber.org/protocol/muc"
	NSMUCUser  = "http://jabber.org/protocol/muc#user"
	NSMUCAdmin = "http://jabber.org/protocol/muc#admin"
	NSMUCOwner = "http://jabber.org/protocol/muc#owner"
	NSDelay    = "urn:xmpp:delay"
	NSOldDelay = "jabber:x:delay"
	NSReceipts = "urn:xmpp:receipts"
	NSMarkers  = "urn:xmpp:chat-markers:0"
	NSStates   = "http://jabber.org/protocol/chatstates"
	NSForward  = "urn:xmpp:forward:0"
	NSCarbons  = "urn:xmpp:carbons:2"
	NSMAM      = "urn:xmpp:mam:2"
	NSStanzaID = "urn:xmpp:sid:0"
	NSRSM      = "http://jabber.org/protocol/rsm"
	NSForms    = "jabber:x:data"
	NSLimits   = "urn:xmpp:stream-limits:0"
	NSTime     = "urn:xmpp:time"
	NSTLS      = "urn:ietf:params:xml:ns:xmpp-tls"
	NSRoster   = "jabber:iq:roster"
	NSOccupant = "urn:xmpp:occupant-id:0"
	NSHints    = "urn:xmpp:hints"
	NSNick     = "http://jabber.org/protocol/nick"
	NSOldMAM   = "urn:xmpp:mam:tmp"
	NSXML      = "http://www.w3.org/XML/1998/namespace"

	NSEncryption = "urn:xmpp:eme:0"
	NSOMEMO      = "urn:xmpp:omemo:2"
	NSOldOMEMO   = "eu.siacs.conversations.axolotl"
	NSOpenPGP    = "urn:xmpp:openpgp:0"
	NSOldPGP     = "jabber:x:encrypted"

	NSJSON      = "urn:xmpp:json:0"
	NSOOB       = "jabber:x:oob"
	NSCorrect   = "urn:xmpp:message-correct:0"
	NSRetract   = "urn:xmpp:message-retract:1"
	NSReply     = "urn:xmpp:reply:0"
	NSFallback  = "urn:xmpp:fallback:0"
	NSReactions = "urn:xmpp:reactions:0"

	nsComponent = "jabber:component:accept"

	mostNesting = 64
)

var ErrCut = errors.New("xmpp: a stanza was cut")

// Read reads what is left of an element to its end, its addresses folded. An error: the connection ended within it; then it is what was
// read.
func Read(r xml.TokenReader, start *xml.StartElement) (*Element, error) {
	e, err := read(r, start)
	e.fold()
	return e, err
}

func read(r xml.TokenReader, start *xml.StartElement) (*Element, error) {
	name := func(n xml.Name) xml.Name { return n }
	if start.Name.Space == nsComponent {
		name = named
	}
	root := &Element{Name: name(start.Name), Attr: start.Attr}
	open := []*Element{root}
	text := []*strings.Builder{{}}
	for len(open) > 0 {
		tok, err := r.Token()
		top := len(open) - 1
		switch t := tok.(type) {
		case xml.StartElement:
			if top >= mostNesting { // nobody looks there
				if err := xmlstream.Skip(r); err != nil {
					return root, errors.Join(ErrCut, ignoreEOF(err))
				}
				continue
			}
			kid := &Element{Name: name(t.Name), Attr: t.Copy().Attr}
			open[top].Kids = append(open[top].Kids, kid)
			open, text = append(open, kid), append(text, &strings.Builder{})
		case xml.CharData:
			text[top].Write(t)
		case xml.EndElement:
			open[top].Text = text[top].String()
			open, text = open[:top], text[:top]
			continue
		}
		if err != nil {
			return root, errors.Join(ErrCut, ignoreEOF(err))
		}
	}
	return root, nil
}

// named makes a name of a component's stream that of a client's: what a stanza says is the same in both (XEP-0114).
func named(n xml.Name) xml.Name {
	if n.Space == nsComponent {
		n.Space = NSClient
	}
	return n
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Get is an attribute without a namespace. One with the stanza's own namespace is another attribute, whatever
// stanza.NewMessage makes of it: servers do not set or check that one.
func (e *Element) Get(name string) string {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// Lang is the language that an element names (xml:lang); empty: it names none.
func (e *Element) Lang() string {
	if e == nil {
		return ""
	}
	for _, a := range e.Attr {
		if a.Name.Space == NSXML && a.Name.Local == "lang" {
			return a.Value
		}
	}
	return ""
}

// Child is the first child of that full name; nil: none.
func (e *Element) Child(space, local string) *Element {
	if e == nil {
		return nil
	}
	for _, k := range e.Kids {
		if k.Name.Space == space && k.Name.Local == local {
			return k
		}
	}
	return nil
}

// All are the children of that full name.
func (e *Element) All(space, local string) (out []*Element) {
	for _, k := range e.Kids {
		if k.Name.Space == space && k.Name.Local == local {
			out = append(out, k)
		}
	}
	return out
}

// Only is the child of that full name if there is exactly one.
func (e *Element) Only(space, local string) *Element {
	if e == nil {
		return nil
	}
	if all := e.All(space, local); len(all) == 1 {
		return all[0]
	}
	return nil
}

// In tells whether there is a child of that namespace.
func (e *Element) In(space string) bool {
	for _, k := range e.Kids {
		if k.Name.Space == space {
			return true
		}
	}
	return false
}

// AttrOr is get, of an element that may be missing.
func (e *Element) AttrOr(name string) string {
	if e == nil {
		return ""
	}
	return e.Get(name)
}
