package xmppside

import (
	"strings"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// errorStanza gives a stanza back to its sender (RFC 6120 §8.3). It goes to the full JID that had sent it: one to a
// bare JID is dropped by every server (RFC 6121 §8.5.2). What was said in a room is given back to the speaker's
// own address: a room throws out whoever sends errors into it, and there the message was delivered.
func errorStanza(r reply, c condition, reason, text string) []byte {
	text, lang := r.lang.says(reason, text)
	b := append(head(nil, r.full, "error", r.id), "><error"...)
	b = append(stanza.AppendAttr(b, "type", c.kind), "><"+c.name+" xmlns='"+stanza.NSStanzas+"'/><text xmlns='"+stanza.NSStanzas+"' xml:lang='"+string(lang)+"'>"...)
	b = stanza.AppendText(b, []byte(stanza.LegalOnly(text)))
	return append(b, "</text></error></message>"...)
}

// reply is whom to answer, about which stanza, and in which language. Its handle is kept in the journal: never change it.
type reply struct {
	bare, full, id string
	lang           language
}

func (r reply) replyTo() bridge.ReplyTo {
	handle := r.full + "\x00" + r.id
	if r.lang != english {
		handle += "\x00" + string(r.lang)
	}
	return bridge.ReplyTo{Sender: r.bare, Handle: handle}
}

func parseReply(to bridge.ReplyTo) (reply, bool) {
	full, rest, ok := strings.Cut(to.Handle, "\x00")
	if !ok || to.Sender == "" || full == "" {
		return reply{}, false
	}
	id, lang, other := strings.Cut(rest, "\x00")
	if !other {
		lang = string(english)
	}
	return reply{to.Sender, full, id, language(lang)}, true
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
