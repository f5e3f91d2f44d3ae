package xmppside

import (
	"strings"
	"sync"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/stanza"
)

// mostContainer is the longest envelope that travels beside its text, as it is written: with it the message is about twice as long, and
// servers take only so much.
const mostContainer = 64 << 10

// container is an envelope as it is written beside its text; nil: it cannot be.
func container(body []byte) []byte {
	envelope := message.XMLSafe(body)
	if len(envelope) > mostContainer || !stanza.Legal(envelope) {
		return nil
	}
	if envelope = stanza.AppendText(nil, envelope); len(envelope) > mostContainer {
		return nil
	}
	return envelope
}

// textStanza writes a direct message as an ordinary client does, with its envelope beside it (XEP-0335).
func (s *translator) textStanza(out *bridge.Outbound, from, to string) (rendered, *bridge.Refusal) {
	t := message.TextOf(out.Body)
	s.contacts.learn(out.From, t.Name)
	envelope := container(out.Body)
	content := t.Content
	if envelope != nil { // which has it all
		content = stanza.LegalOnly(content)
	} else if !stanza.Legal([]byte(content)) {
		return rendered{}, bridge.Refuse("xml_illegal", "the message has characters that XMPP cannot carry")
	}
	id := s.ids.idWith(out.Ref, to, &t)
	b := append(head(make([]byte, 0, 2*len(out.Body)+512), from, to, "chat", id), '>')
	b = s.appendText(b, &t, content, from, to)
	if envelope != nil {
		b = append(append(append(b, "<json xmlns='"+stanza.NSJSON+"'>"...), envelope...), "</json>"...)
	}
	b = stanza.AppendAttr(append(append(b, s.wishes...), "<origin-id xmlns='"+stanza.NSStanzaID+"'"...), "id", id)
	s.sent.add(from, to, t.ID, id)
	return rendered{outgoing{ref: out.Ref, to: to, id: id}, append(b, "/></message>"...)}, nil
}

// roomText writes a group message as its sender's own occupant says it; where that has no seat the relay's own does, with the sender's
// name before the text. Its envelope is beside it.
func (s *translator) roomText(out *bridge.Outbound) (rendered, *bridge.Refusal) {
	t := message.TextOf(out.Body)
	s.contacts.learn(out.From, t.Name)
	if t.Content == "" && t.Retracts != "" {
		t.Content = retractedText
	}
	envelope := container(out.Body)
	if envelope == nil && !stanza.Legal([]byte(t.Content)) {
		return rendered{}, bridge.Refuse("xml_illegal", "the message has characters that XMPP cannot carry")
	}
	from, content := s.addr.sitsAs(out.From), t.Content
	if from == "" || s.rooms.Seats.Nick(out.To, stanza.Bare(from)) == "" {
		from, content = s.addr.answersAs(""), s.contacts.nickOf(out.From)+": "+t.Content
	}
	content = stanza.LegalOnly(content)
	by := from + " " + out.From // those for whom the relay speaks have ids of their own
	id := s.ids.id(out.Ref, out.To)
	b := append(head(make([]byte, 0, 2*len(out.Body)+512), from, out.To, "groupchat", id), '>')
	about := message.Text{ContentType: t.ContentType, Replaces: t.Replaces} // what else it is about has another name in a room (XEP-0461 §3.1)
	b = s.appendText(b, &about, content, by, out.To)
	if envelope != nil {
		b = append(append(append(b, "<json xmlns='"+stanza.NSJSON+"'>"...), envelope...), "</json>"...)
	}
	b = stanza.AppendAttr(append(b, "<origin-id xmlns='"+stanza.NSStanzaID+"'"...), "id", id)
	s.sent.add(by, out.To, t.ID, id)
	post := s.postOf(out, out.To, id, []byte(content))
	if bare := stanza.Bare(from); bare != s.addr.own {
		post.As = bare
	}
	return rendered{outgoing{ref: out.Ref, to: out.To, id: id, post: post}, append(b, "/></message>"...)}, nil
}

// retractedText is for clients that do not know what to do with a retraction (XEP-0424).
const retractedText = "The sender has taken back an earlier message, which your client cannot remove."

// appendText writes the body, and what the message is about. What is not known here stays a message of its own.
func (s *translator) appendText(b []byte, t *message.Text, content, from, to string) []byte {
	if id := s.sent.find(from, to, t.Retracts); id != "" {
		b = stanza.AppendAttr(append(b, "<retract xmlns='"+stanza.NSRetract+"'"...), "id", id)
		return append(b, "/><fallback xmlns='"+stanza.NSFallback+"' for='"+stanza.NSRetract+"'/><body>"+retractedText+
			"</body><store xmlns='"+stanza.NSHints+"'/>"...)
	}
	b = append(stanza.AppendText(append(b, "<body>"...), []byte(content)), "</body>"...)
	if t.ContentType != 0 && isURL(content) {
		b = append(stanza.AppendText(append(b, "<x xmlns='"+stanza.NSOOB+"'><url>"...), []byte(content)), "</url></x>"...)
	}
	if id := s.sent.find(from, to, t.Replaces); id != "" {
		b = append(stanza.AppendAttr(append(b, "<replace xmlns='"+stanza.NSCorrect+"'"...), "id", id), "/>"...)
	}
	if t.ReplyTo != "" && stanza.Legal([]byte(t.ReplyTo)) {
		id, author := s.sent.find(from, to, t.ReplyTo), from
		if id == "" { // then it is one that we did not send
			id, author = t.ReplyTo, to
		}
		b = stanza.AppendAttr(append(b, "<reply xmlns='"+stanza.NSReply+"'"...), "to", author)
		b = append(stanza.AppendAttr(b, "id", id), "/>"...)
	}
	return b
}

// isURL tells whether a text is a link to a file, and nothing else.
func isURL(s string) bool {
	return (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")) && !strings.ContainsAny(s, " \t\r\n")
}

// mostSentIDs is how many messages are remembered that may be corrected, taken back or answered. What is forgotten comes as a message of
// its own.
const mostSentIDs = 10_000

// sentIDs knows under which stanza id a message went out, by what its sender calls it. It may be used from any goroutine.
type sentIDs struct {
	mu     sync.Mutex // guards all below
	ids    map[[3]string]string
	oldest [][3]string // the oldest is at next
	next   int
}

func (s *sentIDs) add(from, to, name, id string) {
	if name == "" {
		return
	}
	key := [3]string{from, to, name}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[[3]string]string{}
	}
	_, known := s.ids[key]
	s.ids[key] = id
	switch {
	case known:
	case len(s.oldest) < mostSentIDs:
		s.oldest = append(s.oldest, key)
	default:
		delete(s.ids, s.oldest[s.next])
		s.oldest[s.next] = key
		s.next = (s.next + 1) % mostSentIDs
	}
}

// find is the id of a message; empty: it is not known.
func (s *sentIDs) find(from, to, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[[3]string{from, to, name}]
}
