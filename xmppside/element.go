package xmppside

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"mellium.im/xmlstream"
)

// element is one XML element, read whole.
type element struct {
	name xml.Name
	attr []xml.Attr
	text string // directly in it, without that of its children
	kids []*element
}

// Namespaces.
const (
	nsClient   = "jabber:client"
	nsStanzas  = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsStreams  = "urn:ietf:params:xml:ns:xmpp-streams"
	nsDisco    = "http://jabber.org/protocol/disco#info"
	nsPing     = "urn:xmpp:ping"
	nsVersion  = "jabber:iq:version"
	nsMUC      = "http://jabber.org/protocol/muc"
	nsMUCUser  = "http://jabber.org/protocol/muc#user"
	nsMUCAdmin = "http://jabber.org/protocol/muc#admin"
	nsMUCOwner = "http://jabber.org/protocol/muc#owner"
	nsDelay    = "urn:xmpp:delay"
	nsOldDelay = "jabber:x:delay"
	nsReceipts = "urn:xmpp:receipts"
	nsMarkers  = "urn:xmpp:chat-markers:0"
	nsStates   = "http://jabber.org/protocol/chatstates"
	nsForward  = "urn:xmpp:forward:0"
	nsCarbons  = "urn:xmpp:carbons:2"
	nsMAM      = "urn:xmpp:mam:2"
	nsStanzaID = "urn:xmpp:sid:0"
	nsRSM      = "http://jabber.org/protocol/rsm"
	nsForms    = "jabber:x:data"
	nsLimits   = "urn:xmpp:stream-limits:0"
	nsRoster   = "jabber:iq:roster"

	nsEncryption = "urn:xmpp:eme:0"
	nsOMEMO      = "urn:xmpp:omemo:2"
	nsOldOMEMO   = "eu.siacs.conversations.axolotl"
	nsOpenPGP    = "urn:xmpp:openpgp:0"
	nsOldPGP     = "jabber:x:encrypted"

	mostNesting = 64
)

var errCut = errors.New("xmpp: a stanza was cut")

// readElement reads what is left of an element to its end. An error: the connection ended within it; then it is what was read.
func readElement(r xml.TokenReader, start *xml.StartElement) (*element, error) {
	root := &element{name: start.Name, attr: start.Attr}
	open := []*element{root}
	text := []*strings.Builder{{}}
	for len(open) > 0 {
		tok, err := r.Token()
		top := len(open) - 1
		switch t := tok.(type) {
		case xml.StartElement:
			if top >= mostNesting { // nobody looks there
				if err := xmlstream.Skip(r); err != nil {
					return root, errors.Join(errCut, ignoreEOF(err))
				}
				continue
			}
			kid := &element{name: t.Name, attr: t.Copy().Attr}
			open[top].kids = append(open[top].kids, kid)
			open, text = append(open, kid), append(text, &strings.Builder{})
		case xml.CharData:
			text[top].Write(t)
		case xml.EndElement:
			open[top].text = text[top].String()
			open, text = open[:top], text[:top]
			continue
		}
		if err != nil {
			return root, errors.Join(errCut, ignoreEOF(err))
		}
	}
	return root, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// get is an attribute without a namespace. One with the stanza's own namespace is another attribute, whatever
// stanza.NewMessage makes of it: servers do not set or check that one.
func (e *element) get(name string) string {
	for _, a := range e.attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// child is the first child of that full name; nil: none.
func (e *element) child(space, local string) *element {
	if e == nil {
		return nil
	}
	for _, k := range e.kids {
		if k.name.Space == space && k.name.Local == local {
			return k
		}
	}
	return nil
}

// all are the children of that full name.
func (e *element) all(space, local string) (out []*element) {
	for _, k := range e.kids {
		if k.name.Space == space && k.name.Local == local {
			out = append(out, k)
		}
	}
	return out
}

// only is the child of that full name if there is exactly one.
func (e *element) only(space, local string) *element {
	if e == nil {
		return nil
	}
	if all := e.all(space, local); len(all) == 1 {
		return all[0]
	}
	return nil
}

// in tells whether there is a child of that namespace.
func (e *element) in(space string) bool {
	for _, k := range e.kids {
		if k.name.Space == space {
			return true
		}
	}
	return false
}
