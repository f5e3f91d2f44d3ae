package xmppside

import (
	"strings"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// errorStanza gives a stanza back to its sender (RFC 6120 §8.3). It goes to the full JID that had sent it: one to a
// bare JID is dropped by every server (RFC 6121 §8.5.2). What was said in a room is given back to the speaker's
// own address: a room throws out whoever sends errors into it, and there the message was delivered.
func errorStanza(r reply, c condition, text string) []byte {
	b := append(head(nil, r.full, "error", r.id), "><error"...)
	b = append(stanza.AppendAttr(b, "type", c.kind), "><"+c.name+" xmlns='"+stanza.NSStanzas+"'/><text xmlns='"+stanza.NSStanzas+"' xml:lang='en'>"...)
	b = stanza.AppendText(b, []byte(stanza.LegalOnly(text)))
	return append(b, "</text></error></message>"...)
}

// reply is whom to answer, and about which stanza. Its handle is kept in the journal: never change it.
type reply struct{ bare, full, id string }

func (r reply) replyTo() bridge.ReplyTo {
	return bridge.ReplyTo{Sender: r.bare, Handle: r.full + "\x00" + r.id}
}

func parseReply(to bridge.ReplyTo) (reply, bool) {
	full, id, ok := strings.Cut(to.Handle, "\x00")
	if !ok || to.Sender == "" || full == "" {
		return reply{}, false
	}
	return reply{to.Sender, full, id}, true
}

// head begins a message stanza; the start tag is left open.
func head(b []byte, to, typ, id string) []byte {
	b = stanza.AppendAttr(append(b, "<message"...), "to", to)
	b = stanza.AppendAttr(b, "type", typ)
	if id != "" {
		b = stanza.AppendAttr(b, "id", id)
	}
	return b
}
