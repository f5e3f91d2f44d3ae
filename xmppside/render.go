package xmppside

import (
	"strings"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/stanza"
)

// outgoing is a delivery as the wire holds it: the tag of its stanza.
type outgoing struct {
	ref     bridge.Ref
	to      string // bare JID
	id      string
	binding binding   // as last bound
	post    *muc.Post // nil: it goes to no room
}

// rendered is a message with the bytes of its stanza. The same delivery always makes the same bytes.
type rendered struct {
	outgoing
	raw []byte
}

// render writes a delivery as one whole stanza.
func (s *translator) render(out *bridge.Outbound) (rendered, *bridge.Refusal) {
	switch out.Kind {
	case bridge.KindChat:
		to, why := s.addr.jidOf(out.To)
		if why != nil {
			return rendered{}, why
		}
		from, why := s.addr.speaksAs(out.From)
		if why != nil {
			return rendered{}, why
		}
		if s.texts {
			return s.textStanza(out, from, to)
		}
		return s.chatStanza(out, from, to, "chat")
	case bridge.KindRoom:
		if !s.rooms.Serves(out.To) {
			return rendered{}, bridge.Refuse("unknown_room", "the relay does not serve this room")
		}
		if s.texts {
			return s.roomText(out)
		}
		return s.chatStanza(out, s.addr.answersAs(""), out.To, "groupchat")
	case bridge.KindReceipt, bridge.KindError:
		return s.answer(out)
	}
	return rendered{}, bridge.Refuse("bad_kind", "this cannot be sent over XMPP")
}

func (s *translator) chatStanza(out *bridge.Outbound, from, to, typ string) (rendered, *bridge.Refusal) {
	body := message.XMLSafe(out.Body)
	if !stanza.Legal(body) {
		return rendered{}, bridge.Refuse("xml_illegal", "the message has characters that XMPP cannot carry")
	}
	id := s.ids.id(out.Ref, to)
	b := head(make([]byte, 0, len(body)+len(body)/16+256), from, to, typ, id)
	b = append(b, "><body>"...)
	b = stanza.AppendText(b, body)
	b = append(b, "</body><origin-id xmlns='"+stanza.NSStanzaID+"'"...)
	b = append(stanza.AppendAttr(b, "id", id), "/></message>"...)
	l := outgoing{ref: out.Ref, to: to, id: id}
	if out.Kind == bridge.KindRoom {
		l.post = s.postOf(out, to, id, body)
	}
	return rendered{l, b}, nil
}

// postOf is a post that is open until its room has reflected it.
func (s *translator) postOf(out *bridge.Outbound, to, id string, body []byte) *muc.Post {
	return &muc.Post{Ref: out.Ref, To: to, ID: id, From: out.From, Sum: s.rooms.Posts.Sum(body)}
}

// answer writes a receipt (XEP-0184) or a stanza error to whoever Note.Reply names.
func (s *translator) answer(out *bridge.Outbound) (rendered, *bridge.Refusal) {
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
		return rendered{l, s.errorStanza(reply, c, out.Note.Reason, out.Note.Text)}, nil
	}
	l.id = receiptPrefix + strings.TrimPrefix(s.ids.id(out.Ref, reply.bare), messagePrefix)
	b := append(head(nil, s.addr.answersAs(reply.as), reply.full, "chat", l.id), "><received xmlns='"+stanza.NSReceipts+"'"...)
	return rendered{l, append(stanza.AppendAttr(b, "id", reply.id), "/></message>"...)}, nil
}
