package xmppside

import (
	"strings"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// errorStanza gives a stanza back to its sender (RFC 6120 §8.3). It goes to the full JID that had sent it: one to a
// bare JID is dropped by every server (RFC 6121 §8.5.2). What was said in a room is given back to the speaker's
// own address: a room throws out whoever sends errors into it, and there the message was delivered.
func (s *translator) errorStanza(r reply, c condition, reason, text string) []byte {
	text, lang := r.lang.says(reason, text)
	b := append(head(nil, s.addr.answersAs(r.as), r.full, "error", r.id), "><error"...)
	b = append(stanza.AppendAttr(b, "type", c.kind), "><"+c.name+" xmlns='"+stanza.NSStanzas+"'/><text xmlns='"+stanza.NSStanzas+"' xml:lang='"+string(lang)+"'>"...)
	b = stanza.AppendText(b, []byte(stanza.LegalOnly(text)))
	return append(b, "</text></error></message>"...)
}

// reply is whom to answer, about which stanza, in which language, and as which landline's address. Its handle is kept in the
// journal: never change it.
type reply struct {
	bare, full, id string
	lang           language
	as             string // bare; empty: the relay itself
}

func (r reply) replyTo() bridge.ReplyTo {
	parts := []string{r.full, r.id}
	if r.lang != english || r.as != "" {
		parts = append(parts, string(r.lang))
	}
	if r.as != "" {
		parts = append(parts, r.as)
	}
	return bridge.ReplyTo{Sender: r.bare, Handle: strings.Join(parts, "\x00")}
}

func parseReply(to bridge.ReplyTo) (reply, bool) {
	parts := append(strings.Split(to.Handle, "\x00"), string(english), "") // what is left out
	switch len(parts) - 2 {
	case 2, 4:
	case 3:
		parts[3] = ""
	default:
		return reply{}, false
	}
	if to.Sender == "" || parts[0] == "" {
		return reply{}, false
	}
	return reply{to.Sender, parts[0], parts[1], language(parts[2]), parts[3]}, true
}

// head begins a message stanza; the start tag is left open. from is empty where the server says it.
func head(b []byte, from, to, typ, id string) []byte {
	b = append(b, "<message"...)
	if from != "" {
		b = stanza.AppendAttr(b, "from", from)
	}
	b = stanza.AppendAttr(b, "to", to)
	b = stanza.AppendAttr(b, "type", typ)
	if id != "" {
		b = stanza.AppendAttr(b, "id", id)
	}
	return b
}
