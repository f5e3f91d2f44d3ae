package message

import "bytes"

// XMLSafe returns body with raw U+FFFE and U+FFFF inside JSON strings written as \ufffe and \uffff
// (legal in JSON, not in XML); body itself when there is none. It is for bodies that Parse accepted: an unsound one
// could become sound by it (a backslash before a raw U+FFFF is no escape, before \uffff it is one).
//
// They are all that sound JSON can hold raw and XML cannot (XML 1.0 §2.2, Char): JSON forbids control characters
// in strings, surrogates are no UTF-8, and the noncharacters beyond the first plane are Chars. In sound JSON they
// stand in strings only, and never behind a lone backslash.
func XMLSafe(body []byte) []byte {
	for _, c := range [...]struct{ raw, spelled string }{{"\uFFFE", `\ufffe`}, {"\uFFFF", `\uffff`}} {
		if bytes.Contains(body, []byte(c.raw)) {
			body = bytes.ReplaceAll(body, []byte(c.raw), []byte(c.spelled))
		}
	}
	return body
}
