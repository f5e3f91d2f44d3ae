package clients

import (
	"bytes"
	"encoding/xml"
)

// element is what a stanza holds, by full names.
type element struct {
	Bodies []struct {
		Lang string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Text string `xml:",chardata"`
	} `xml:"jabber:client body"`
	Inner    []byte `xml:",innerxml"`
	Received *struct {
		ID string `xml:"id,attr"`
	} `xml:"urn:xmpp:receipts received"`
	Displayed *struct {
		ID string `xml:"id,attr"`
	} `xml:"urn:xmpp:chat-markers:0 displayed"`
	Composing *struct{} `xml:"http://jabber.org/protocol/chatstates composing"`
	Delay     *struct{} `xml:"urn:xmpp:delay delay"`
	Error     *struct {
		Text  string `xml:"urn:ietf:params:xml:ns:xmpp-stanzas text"`
		Inner []byte `xml:",innerxml"`
	} `xml:"jabber:client error"`
	Ping     *struct{} `xml:"urn:xmpp:ping ping"`
	StanzaID *struct {
		ID string `xml:"id,attr"`
	} `xml:"urn:xmpp:sid:0 stanza-id"`
}

func stanza(start xml.StartElement, e element) Stanza {
	s := Stanza{Name: start.Name.Local, HasBody: len(e.Bodies) > 0, Delayed: e.Delay != nil}
	for _, a := range start.Attr {
		if a.Name.Space != "" {
			continue
		}
		switch a.Name.Local {
		case "from":
			s.From = a.Value
		case "to":
			s.To = a.Value
		case "type":
			s.Type = a.Value
		case "id":
			s.ID = a.Value
		}
	}
	if s.HasBody {
		s.Body = e.Bodies[0].Text
	}
	if e.Received != nil {
		s.Received = e.Received.ID
	}
	if e.Displayed != nil {
		s.Displayed = e.Displayed.ID
	}
	s.Composing = e.Composing != nil
	if e.StanzaID != nil {
		s.Archived = e.StanzaID.ID
	}
	if e.Error != nil {
		s.Condition, s.Text = condition(e.Error.Inner), e.Error.Text
	}
	return s
}

// condition is the name of the defined condition (RFC 6120 §8.3.3).
func condition(inner []byte) string {
	dec := xml.NewDecoder(bytes.NewReader(inner))
	for {
		tok, err := dec.Token()
		if err != nil {
			return ""
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Local != "text" {
			return start.Name.Local
		}
	}
}
