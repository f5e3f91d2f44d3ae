package xmppside

import (
	"encoding/xml"

	"mellium.im/xmlstream"

	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const softwareName = "chatrelay" // XEP-0092

// iq answers what others ask and takes the answers to what we asked. Everything is dealt with here, so that
// mellium does not: it would end the stream over an address that it cannot parse.
func (k *connection) iq(t xmlstream.TokenReadEncoder, start *xml.StartElement, e *stanza.Element, version string, who asker) {
	sm.Void(t, start)
	switch e.Get("type") {
	case "result", "error":
		k.answered(e)
	case "get", "set":
		switch {
		case len(e.Get("id")) > stanza.MostID:
		case who.self || k.ours(e.Get("from")):
			k.l.Reply(answerFor(k, e, version), ownReplies)
		case k.askers.allow(who.name):
			k.l.Reply(answerFor(k, e, version), mostReplies)
		}
	}
}

// answerFor is the answer of the address that was asked: the relay's, or a contact's.
func answerFor(k *connection, e *stanza.Element, version string) []byte {
	payload, ok := "", false
	if k.s != nil && k.own.isComponent() {
		payload, ok = k.s.contacts.contactKnown(e)
	}
	if !ok {
		payload, ok = known(e, version)
	}
	return k.own.answer(answerTo(e, payload, ok), e)
}

// answerPresence is for what is said to a contact.
func answerPresence(c *connection, e *stanza.Element) {
	if answer := c.s.contacts.presence(e); answer != nil && c.askers.allow(stanza.Bare(e.Get("from"))) {
		c.l.Reply(c.own.answer(answer, e), mostReplies)
	}
}

// subscription answers who wants to see whether the relay is there, or no longer wants to (RFC 6121 §3.1.5, §3.3). A server
// brings the question again at each login until it is answered.
func (c *connection) subscription(e *stanza.Element) {
	answer := map[string]string{"subscribe": "subscribed", "unsubscribe": "unsubscribed"}[e.Get("type")]
	from := stanza.Bare(e.Get("from"))
	if answer == "" || from == "" || c.ours(from) || c.s.rooms.Ours(from) || !c.askers.allow(from) {
		return
	}
	c.l.Reply(subscriptionAnswer(answer, from), mostReplies)
}

// answerTo makes the answer to a question; not ok: nobody knows one.
func answerTo(e *stanza.Element, payload string, ok bool) []byte {
	typ := "result"
	if !ok {
		typ, payload = "error", "<error type='cancel'><service-unavailable xmlns='"+stanza.NSStanzas+"'/></error>"
	}
	b := stanza.AppendAttr(stanza.AppendAttr([]byte("<iq"), "type", typ), "id", e.Get("id"))
	if from := e.Get("from"); from != "" {
		b = stanza.AppendAttr(b, "to", from)
	}
	return append(append(append(b, '>'), payload...), "</iq>"...)
}

// known is the answer to the questions we understand; false: none of these.
func known(e *stanza.Element, version string) (payload string, ok bool) {
	if e.Get("type") != "get" || len(e.Kids) != 1 {
		return "", false
	}
	switch e.Kids[0].Name {
	case xml.Name{Space: stanza.NSPing, Local: "ping"}:
		return "", true
	case xml.Name{Space: stanza.NSVersion, Local: "query"}:
		b := append([]byte("<query xmlns='"+stanza.NSVersion+"'><name>"+softwareName+"</name><version>"), stanza.AppendText(nil, []byte(version))...)
		return string(b) + "</version></query>", true
	case xml.Name{Space: stanza.NSDisco, Local: "query"}:
		return "<query xmlns='" + stanza.NSDisco + "'><identity category='client' type='bot' name='" + softwareName + "'/>" +
			"<feature var='" + stanza.NSDisco + "'/><feature var='" + stanza.NSPing + "'/><feature var='" + stanza.NSVersion + "'/>" +
			"<feature var='" + stanza.NSReceipts + "'/></query>", e.Kids[0].Get("node") == ""
	}
	return "", false
}
