package xmppside

import (
	"strings"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/stanza"
)

// outgoing is a delivery as the wire holds it: the tag of its stanza.
type outgoing struct {
	ref     bridge.Ref
	to      string // bare JID
	id      string
	room    bool
	from    string  // the sender's landline, of a room post
	sum     uint64  // of its body, likewise
	binding binding // as last bound
}

// rendered is a letter with the bytes of its stanza. The same delivery always makes the same bytes.
type rendered struct {
	outgoing
	raw []byte
}

// render writes a delivery as one whole stanza.
func (s *Side) render(out *bridge.Outbound) (rendered, *bridge.Refusal) {
	switch out.Kind {
	case bridge.KindChat:
		to, why := s.addr.jidOf(out.To)
		if why != nil {
			return rendered{}, why
		}
		return s.chatStanza(out, to, "chat")
	case bridge.KindRoom:
		if !s.rooms.serves(out.To) {
			return rendered{}, bridge.Refuse("unknown_room", "the relay does not serve this room")
		}
		return s.chatStanza(out, out.To, "groupchat")
	case bridge.KindReceipt, bridge.KindError:
		return s.answer(out)
	}
	return rendered{}, bridge.Refuse("bad_kind", "this cannot be sent over XMPP")
}

func (s *Side) chatStanza(out *bridge.Outbound, to, typ string) (rendered, *bridge.Refusal) {
	body := message.XMLSafe(out.Body)
	if !stanza.Legal(body) {
		return rendered{}, bridge.Refuse("xml_illegal", "the message has characters that XMPP cannot carry")
	}
	id := s.ids.id(out.Ref, to)
	b := head(make([]byte, 0, len(body)+len(body)/16+256), to, typ, id)
	b = append(b, "><body>"...)
	b = stanza.AppendText(b, body)
	b = append(b, "</body><origin-id xmlns='"+stanza.NSStanzaID+"'"...)
	b = append(stanza.AppendAttr(b, "id", id), "/></message>"...)
	l := outgoing{ref: out.Ref, to: to, id: id}
	if out.Kind == bridge.KindRoom {
		l.room, l.from, l.sum = true, out.From, s.rooms.posts.sum(body)
	}
	return rendered{l, b}, nil
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

// answer writes a receipt (XEP-0184) or a stanza error to whoever Note.Reply names.
func (s *Side) answer(out *bridge.Outbound) (rendered, *bridge.Refusal) {
	reply, ok := parseReply(out.Note.Reply)
	if !ok || !stanza.Legal([]byte(reply.full+reply.id)) {
		return rendered{}, bridge.Refuse("bad_reply", "the answer has no address")
	}
	l := outgoing{ref: out.Ref, to: reply.bare}
	if out.Kind == bridge.KindError {
		l.id = reply.id
		c := conditionOf(out.Note.Reason)
		if out.Note.Status == "failed" {
			c = laterCondition(out.Note.Reason)
		}
		return rendered{l, errorStanza(reply, c, out.Note.Text)}, nil
	}
	l.id = receiptPrefix + strings.TrimPrefix(s.ids.id(out.Ref, reply.bare), messagePrefix)
	b := append(head(nil, reply.full, "chat", l.id), "><received xmlns='"+stanza.NSReceipts+"'"...)
	return rendered{l, append(stanza.AppendAttr(b, "id", reply.id), "/></message>"...)}, nil
}

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
