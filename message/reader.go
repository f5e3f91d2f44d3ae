package message

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep a body may nest; the envelope's own braces are the first level.
const maxDepth = 32

// reader walks over the members of a body's object. jsontext checks the grammar, the text and the surrogates;
// the reader adds depth and what may follow the object.
type reader struct {
	body []byte
	dec  jsontext.Decoder
	src  bytes.Buffer
	opts [1]jsontext.Options
	room [64]byte // for decoding names
}

// member is one name and value. All of it is valid until the next call only, save for the offsets.
type member struct {
	name       []byte // decoded
	start, end int    // of the value, in the body
}

// open starts reading. The error is a *Refusal.
func (r *reader) open(body []byte) *Refusal {
	r.body = body
	r.src = *bytes.NewBuffer(body) // read in place: jsontext neither copies nor changes a bytes.Buffer's bytes
	// The check for repeated names is ours (known.add): jsontext's own would also refuse unknown names, and
	// would not let us tell the sender of a known one.
	r.opts[0] = jsontext.AllowDuplicateNames(true)
	r.dec.Reset(&r.src, r.opts[:]...)
	if kind := r.dec.PeekKind(); kind != '{' {
		return r.notObject(kind)
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return r.unsound(err)
	}
	return nil
}

// notObject tells sound JSON of another kind from what is no JSON.
func (r *reader) notObject(kind jsontext.Kind) *Refusal {
	if kind == '[' && deeper(r.body, maxDepth) {
		return tooDeep()
	}
	if _, err := r.dec.ReadValue(); err != nil {
		return r.unsound(err)
	}
	return refuse(NotObject, "the message is JSON, but not a JSON object")
}

// next reads a member. more is false at the object's end, once nothing but white space follows.
func (r *reader) next(m *member) (more bool, why *Refusal) {
	switch r.dec.PeekKind() {
	case '}':
		return false, r.finish()
	case '"':
	default: // no name, and as a token it is not read further than its first bracket
		_, err := r.dec.ReadToken()
		return false, r.unsound(err)
	}
	name, err := r.dec.ReadValue()
	if err != nil {
		return false, r.unsound(err)
	}
	m.name = decode(r.room[:0], name)
	// Depth is held before the value is read: jsontext calls itself for each level, up to 10 000 of them.
	if kind := r.dec.PeekKind(); (kind == '{' || kind == '[') && deeper(r.body[r.dec.InputOffset():], maxDepth-1) {
		return false, tooDeep()
	}
	value, err := r.dec.ReadValue()
	if err != nil {
		return false, r.unsound(err)
	}
	m.end = int(r.dec.InputOffset())
	m.start = m.end - len(value)
	return true, nil
}

func (r *reader) finish() *Refusal {
	if _, err := r.dec.ReadToken(); err != nil {
		return r.unsound(err)
	}
	for _, c := range r.body[r.dec.InputOffset():] {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return refuse(TrailingData, "something follows after the end of the message's JSON object")
		}
	}
	return nil
}

// unsound finds the reason of a syntax error from what stands where jsontext stopped.
func (r *reader) unsound(err error) *Refusal {
	at := len(r.body)
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && syntax.ByteOffset >= 0 && syntax.ByteOffset < int64(at) {
		at = int(syntax.ByteOffset)
	}
	rest := r.body[at:]
	if c, n := utf8.DecodeRune(rest); c == utf8.RuneError && n == 1 {
		return refuse(BadUTF8, "the message is not valid UTF-8 text")
	}
	if surrogate(rest) {
		return refuse(BadSurrogate, "the message has one half of a surrogate pair (\\ud800 to \\udfff) without the other")
	}
	return refuse(NotJSON, "the message is not valid JSON")
}

func tooDeep() *Refusal {
	return refuse(TooDeep, "the message nests arrays and objects deeper than 32 levels")
}

// surrogate tells whether b starts with an escaped surrogate (RFC 8259 §8.2).
func surrogate(b []byte) bool {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' || b[2]|0x20 != 'd' {
		return false
	}
	return hex(b[3]) && b[3] >= '8' && hex(b[4]) && hex(b[5])
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// deeper tells whether the array or object that comes first in b nests deeper than levels. It looks no further
// than that value's end, or, in unsound JSON, than its own count of brackets says.
func deeper(b []byte, levels int) bool {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++ // what is escaped ends no string
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > levels {
				return true
			}
		case c == '}' || c == ']':
			if depth--; depth <= 0 {
				return false
			}
		}
	}
	return false
}
