package stanza

import (
	"bytes"
	"unicode/utf8"
)

// AppendText escapes text between tags: only what must be, for servers spend time on every reference. A raw CR
// would arrive as LF (XML 1.0 §2.11).
func AppendText(b, text []byte) []byte {
	start := 0
	for i, c := range text {
		var ref string
		switch c {
		case '&':
			ref = "&amp;"
		case '<':
			ref = "&lt;"
		case '>':
			ref = "&gt;"
		case '\r':
			ref = "&#13;"
		default:
			continue
		}
		b = append(append(b, text[start:i]...), ref...)
		start = i + 1
	}
	return append(b, text[start:]...)
}

// AppendAttr writes one attribute in single quotes. White space other than blanks would be made blanks of
// (XML 1.0 §3.3.3).
func AppendAttr(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), "='"...)
	for i := range len(value) {
		switch c := value[i]; c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '\'':
			b = append(b, "&apos;"...)
		case '\t':
			b = append(b, "&#9;"...)
		case '\n':
			b = append(b, "&#10;"...)
		case '\r':
			b = append(b, "&#13;"...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '\'')
}

// From gives a stanza of ours a sender, as its first attribute, unless it has one there.
func From(raw []byte, from string) []byte {
	at := bytes.IndexAny(raw, " />")
	if at < 0 || bytes.HasPrefix(raw[at:], []byte(" from=")) {
		return raw
	}
	out := make([]byte, 0, len(raw)+len(from)+len(" from=''"))
	return append(AppendAttr(append(out, raw[:at]...), "from", from), raw[at:]...)
}

// Legal tells whether text is UTF-8 of characters that XML has (XML 1.0 §2.2). A server closes the stream for
// any other.
func Legal(text []byte) bool {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 || !char(r) {
			return false
		}
		text = text[n:]
	}
	return true
}

func char(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r == 0xFFFE, r == 0xFFFF:
		return false
	}
	return true // surrogates are no UTF-8
}

// LegalOnly leaves out what XML has not, of a text that is for people.
func LegalOnly(text string) string {
	out := make([]rune, 0, len(text))
	for _, r := range text {
		if char(r) {
			out = append(out, r)
		}
	}
	return string(out)
}
