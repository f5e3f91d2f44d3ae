package stanza

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"unicode/utf8"
)

// reference reads a reference at the start of raw: one of the five that XML has, or a character's number. n is how long it is; 0: it
// is the decoder's to read or to refuse.
func reference(raw []byte) (r rune, n int) {
	const longest = len("&#1114111;")
	end := bytes.IndexByte(raw[:min(len(raw), longest)], ';')
	if end < 0 {
		return 0, 0
	}
	n = end + 1
	switch string(raw[1:end]) {
	case "lt":
		return '<', n
	case "gt":
		return '>', n
	case "amp":
		return '&', n
	case "apos":
		return '\'', n
	case "quot":
		return '"', n
	}
	if r = numeric(raw[1:end]); r == 0 {
		return 0, 0
	}
	return r, n
}

// numeric is the character of a number such as #13 or #xD; 0: none.
func numeric(ref []byte) rune {
	digits, base := ref, 10
	switch {
	case bytes.HasPrefix(ref, []byte("#x")):
		digits, base = ref[2:], 16
	case bytes.HasPrefix(ref, []byte("#")):
		digits = ref[1:]
	default:
		return 0
	}
	n, err := strconv.ParseUint(string(digits), base, 21) // it takes digits only
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) || !char(rune(n)) {
		return 0
	}
	return rune(n)
}

// knownElement is the name of an element that the scan reads; empty: any other.
func knownElement(name []byte) string {
	switch string(name) {
	case "message":
		return "message"
	case "body":
		return "body"
	case "subject":
		return "subject"
	case "thread":
		return "thread"
	case "stanza-id":
		return "stanza-id"
	case "origin-id":
		return "origin-id"
	case "occupant-id":
		return "occupant-id"
	case "archived":
		return "archived"
	case "delay":
		return "delay"
	case "x":
		return "x"
	case "item":
		return "item"
	case "request":
		return "request"
	case "markable":
		return "markable"
	case "active":
		return "active"
	case "nick":
		return "nick"
	case "store":
		return "store"
	}
	return ""
}

// knownAttr is the full name of such an attribute.
func knownAttr(name []byte) xml.Name {
	switch string(name) {
	case "xmlns":
		return xml.Name{Local: "xmlns"}
	case "from":
		return xml.Name{Local: "from"}
	case "to":
		return xml.Name{Local: "to"}
	case "id":
		return xml.Name{Local: "id"}
	case "type":
		return xml.Name{Local: "type"}
	case "by":
		return xml.Name{Local: "by"}
	case "stamp":
		return xml.Name{Local: "stamp"}
	case "jid":
		return xml.Name{Local: "jid"}
	case "affiliation":
		return xml.Name{Local: "affiliation"}
	case "role":
		return xml.Name{Local: "role"}
	case "xml:lang":
		return xml.Name{Space: NSXML, Local: "lang"}
	}
	return xml.Name{}
}

// knownSpace is such a namespace.
func knownSpace(name []byte) string {
	switch string(name) {
	case NSClient:
		return NSClient
	case NSStanzaID:
		return NSStanzaID
	case NSOldMAM:
		return NSOldMAM
	case NSOccupant:
		return NSOccupant
	case NSMUCUser:
		return NSMUCUser
	case NSDelay:
		return NSDelay
	case NSOldDelay:
		return NSOldDelay
	case NSReceipts:
		return NSReceipts
	case NSMarkers:
		return NSMarkers
	case NSStates:
		return NSStates
	case NSNick:
		return NSNick
	case NSHints:
		return NSHints
	}
	return ""
}
