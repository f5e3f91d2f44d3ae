package stanza

import (
	"bytes"
	"encoding/xml"
	"unicode/utf8"
)

const (
	mostScanned  = 4  // levels of elements: a room's message has three
	mostElements = 32 // a stanza of more is nobody's daily message

	// Both are only where the slices begin: a chat message of today's servers has four elements and ten attributes.
	usualElements = 4
	usualAttrs    = 10
)

// NotWhole is what Scanner.Scan returns for what may become a message that it reads.
const NotWhole = -1

// Scanner reads the plain case of a message past the XML decoder, which costs six times as much: type chat or groupchat, and
// nothing in it but the names, namespaces and spellings that clients and servers use every day. All else is the decoder's. What it
// takes it must read as the decoder would: where the two differ, somebody can say one thing to us and another to everybody else.
type Scanner struct {
	own string // our bare JID as the session has it

	raw  []byte
	at   int
	cut  bool // raw ended too early
	seen int  // elements
	els  []Element
	attr []xml.Attr
	buf  []byte // of what has references in it
}

// NewScanner makes one for the session of a bare JID, whose messages to itself are from nobody: so mellium leaves them.
func NewScanner(own string) *Scanner { return &Scanner{own: own} }

// Scan returns the message that stands at the start of raw, in the namespace jabber:client, and how long it is; nil and 0: the
// decoder is to read it; nil and NotWhole: with more bytes it may be one. It keeps nothing of raw.
func (p *Scanner) Scan(raw []byte) (*Element, int) {
	const begin = "<message "
	if n := min(len(raw), len(begin)); string(raw[:n]) != begin[:n] {
		return nil, 0
	}
	p.raw, p.at, p.cut, p.seen = raw, 0, false, 0
	p.els, p.attr = make([]Element, 0, usualElements), make([]xml.Attr, 0, usualAttrs)
	e, ok := p.message()
	n := p.at
	if p.raw, p.els, p.attr = nil, nil, nil; ok {
		e.fold()
		return e, n
	}
	if p.cut {
		return nil, NotWhole
	}
	return nil, 0
}

// message reads a whole one.
func (p *Scanner) message() (*Element, bool) {
	root, empty, ok := p.startTag(NSClient)
	if !ok || empty || root.Name.Space != NSClient || !p.known(root) {
		return nil, false
	}
	open := append(make([]*Element, 0, mostScanned), root)
	for len(open) > 0 {
		top := open[len(open)-1]
		if !p.text(top) {
			return nil, false
		}
		if p.is("</") {
			if !p.skip("</") || !p.skip(top.Name.Local) || !p.skip(">") {
				return nil, false
			}
			open = open[:len(open)-1]
			continue
		}
		kid, empty, ok := p.startTag(top.Name.Space)
		if !ok {
			return nil, false
		}
		top.Kids = append(top.Kids, kid)
		if empty {
			continue
		}
		if len(open) == mostScanned {
			return nil, false
		}
		open = append(open, kid)
	}
	return root, true
}

// known tells whether a message is of a kind that is read here, and does what mellium does to it: it leaves from empty where
// that is our account.
func (p *Scanner) known(root *Element) bool {
	for i := range root.Attr {
		if a := &root.Attr[i]; a.Name.Local == "from" {
			if a.Value == p.own {
				a.Value = ""
			}
			break
		}
	}
	typ := root.Get("type")
	return typ == "chat" || typ == "groupchat"
}

// startTag reads one, with one blank before each attribute and none elsewhere. space is the namespace around it.
func (p *Scanner) startTag(space string) (e *Element, empty, ok bool) {
	if !p.skip("<") {
		return nil, false, false
	}
	if p.seen++; p.seen > mostElements {
		return nil, false, false
	}
	if len(p.els) == cap(p.els) { // the others stay where they are
		p.els = make([]Element, 0, usualElements)
	}
	p.els = append(p.els, Element{})
	e = &p.els[len(p.els)-1]
	if e.Name.Local = knownElement(p.name()); e.Name.Local == "" {
		return nil, false, false
	}
	first, own := len(p.attr), ""
	for p.is(" ") {
		a, ok := p.attribute()
		if !ok {
			return nil, false, false
		}
		if a.Name.Local == "xmlns" {
			if own != "" {
				return nil, false, false
			}
			own = a.Value
			space = own
		}
		p.attr = append(p.attr, a)
	}
	e.Attr = p.attr[first:len(p.attr):len(p.attr)]
	e.Name.Space = space
	if p.is("/") {
		return e, true, p.skip("/>")
	}
	return e, false, p.skip(">")
}

// attribute reads one, and the blank before it.
func (p *Scanner) attribute() (a xml.Attr, ok bool) {
	p.at++
	if a.Name = knownAttr(p.name()); a.Name.Local == "" || !p.skip("=") || !p.any() {
		return a, false
	}
	quote := p.raw[p.at]
	if quote != '\'' && quote != '"' {
		return a, false
	}
	p.at++
	n := bytes.IndexByte(p.raw[p.at:], quote)
	if n < 0 {
		p.cut = true
		return a, false
	}
	raw := p.raw[p.at : p.at+n]
	p.at += n + 1
	switch {
	case bytes.IndexByte(raw, '<') >= 0:
		return a, false
	case a.Name.Local == "xmlns":
		a.Value = knownSpace(raw)
		return a, a.Value != ""
	}
	a.Value, ok = p.value(raw)
	return a, ok
}

// text reads what stands before the next tag.
func (p *Scanner) text(into *Element) bool {
	n := bytes.IndexByte(p.raw[p.at:], '<')
	if n < 0 {
		p.cut = true
		return false
	}
	raw := p.raw[p.at : p.at+n]
	p.at += n
	if n == 0 {
		return true
	}
	s, ok := p.value(raw)
	into.Text += s
	return ok && !bytes.Contains(raw, []byte("]]>"))
}

// value is text with its references resolved. It takes no carriage return, which XML makes a line feed of.
func (p *Scanner) value(raw []byte) (string, bool) {
	p.buf = p.buf[:0]
	from := 0
	for i := 0; i < len(raw); {
		switch b := raw[i]; {
		case b == '&':
			r, n := reference(raw[i:])
			if n == 0 {
				return "", false
			}
			p.buf = utf8.AppendRune(append(p.buf, raw[from:i]...), r)
			i += n
			from = i
		case b >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && n == 1 || !char(r) {
				return "", false
			}
			i += n
		case b == '\r' || !char(rune(b)):
			return "", false
		default:
			i++
		}
	}
	if from == 0 {
		return string(raw), true
	}
	return string(append(p.buf, raw[from:]...)), true
}

// name is what stands before the next blank, or the like. More than what is known has no need to be right.
func (p *Scanner) name() []byte {
	begin := p.at
	for ; p.at < len(p.raw); p.at++ {
		switch p.raw[p.at] {
		case ' ', '>', '/', '=', '<', '\'', '"':
			return p.raw[begin:p.at]
		}
	}
	p.cut = true
	return nil
}

// any tells whether there is another byte.
func (p *Scanner) any() bool {
	p.cut = p.cut || p.at == len(p.raw)
	return !p.cut
}

// is tells whether something comes next. It is false also where too little is left to say: then nothing else can be read either.
func (p *Scanner) is(s string) bool { return bytes.HasPrefix(p.raw[p.at:], []byte(s)) }

// skip goes past what has to come next.
func (p *Scanner) skip(s string) bool {
	left := p.raw[p.at:]
	switch {
	case len(left) >= len(s) && string(left[:len(s)]) == s:
		p.at += len(s)
		return true
	case len(left) < len(s) && string(left) == s[:len(left)]:
		p.cut = true
	}
	return false
}
