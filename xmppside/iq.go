package xmppside

import (
	"encoding/xml"

	"mellium.im/xmlstream"

	"chatrelay/xmppside/sm"
)

const softwareName = "chatrelay" // XEP-0092

// iq answers what others ask and takes the answers to what we asked. Everything is dealt with here, so that
// mellium does not: it would end the stream over an address that it cannot parse.
func (k *connection) iq(t xmlstream.TokenReadEncoder, start *xml.StartElement, e *element, version string, who asker) {
	switch e.get("type") {
	case "result", "error":
		k.answered(e)
	case "get", "set":
		sm.Void(t, start)
		switch {
		case len(e.get("id")) > mostID:
		case who.self || k.ours(e.get("from")):
			k.l.Reply(answerTo(e, version), ownReplies)
		case k.askers.allow(who.name):
			k.l.Reply(answerTo(e, version), mostReplies)
		}
	}
}

// subscription answers who wants to see whether the relay is there, or no longer wants to (RFC 6121 §3.1.5, §3.3). A server
// brings the question again at each login until it is answered.
func (c *login) subscription(e *element) {
	answer := map[string]string{"subscribe": "subscribed", "unsubscribe": "unsubscribed"}[e.get("type")]
	from := bareOf(e.get("from"))
	if answer == "" || from == "" || c.ours(from) || c.s.rooms.ours(from) || !c.askers.allow(from) {
		return
	}
	c.l.Reply(append(appendAttr(appendAttr([]byte("<presence"), "type", answer), "to", from), "/>"...), mostReplies)
}

// answerTo makes the answer to a question.
func answerTo(e *element, version string) []byte {
	payload, ok := known(e, version)
	typ := "result"
	if !ok {
		typ, payload = "error", "<error type='cancel'><service-unavailable xmlns='"+nsStanzas+"'/></error>"
	}
	b := appendAttr(appendAttr([]byte("<iq"), "type", typ), "id", e.get("id"))
	if from := e.get("from"); from != "" {
		b = appendAttr(b, "to", from)
	}
	return append(append(append(b, '>'), payload...), "</iq>"...)
}

// known is the answer to the questions we understand; false: none of these.
func known(e *element, version string) (payload string, ok bool) {
	if e.get("type") != "get" || len(e.kids) != 1 {
		return "", false
	}
	switch e.kids[0].name {
	case xml.Name{Space: nsPing, Local: "ping"}:
		return "", true
	case xml.Name{Space: nsVersion, Local: "query"}:
		b := append([]byte("<query xmlns='"+nsVersion+"'><name>"+softwareName+"</name><version>"), appendText(nil, []byte(version))...)
		return string(b) + "</version></query>", true
	case xml.Name{Space: nsDisco, Local: "query"}:
		return "<query xmlns='" + nsDisco + "'><identity category='client' type='bot' name='" + softwareName + "'/>" +
			"<feature var='" + nsDisco + "'/><feature var='" + nsPing + "'/><feature var='" + nsVersion + "'/>" +
			"<feature var='" + nsReceipts + "'/></query>", e.kids[0].get("node") == ""
	}
	return "", false
}
