package message

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions here read one raw JSON value each, which jsontext has found sound; nil is a missing field.

// maxID is the length of the longest id. Anything longer is a text, not a name.
const maxID = 255

func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

func null(raw []byte) bool { return len(raw) > 0 && raw[0] == 'n' }

func stringOrNull(raw []byte) bool { return raw == nil || null(raw) || isString(raw) }

// text gives what stands in a string.
func text(raw []byte) ([]byte, bool) {
	if !isString(raw) {
		return nil, false
	}
	return decode(nil, raw), true
}

func textOrNull(raw []byte) ([]byte, bool) {
	if raw == nil || null(raw) {
		return nil, true
	}
	return text(raw)
}

// party reads a landline's two forms: a string, or an integer without sign, fraction or exponent.
func party(raw []byte) ([]byte, bool) {
	if digits(raw) {
		return raw, true
	}
	return text(raw)
}

// identifier reads an id: a string, or an integer, which is the same id as the string of its digits.
func identifier(raw []byte) ([]byte, bool) {
	if raw == nil {
		return nil, true
	}
	id, ok := text(raw)
	if !ok && digits(bytes.TrimPrefix(raw, []byte("-"))) {
		id, ok = raw, true
	}
	return id, ok && len(id) > 0 && len(id) <= maxID
}

// decode gives what stands in a string that jsontext has checked: the bytes in place, or decoded into room.
func decode(room, quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	b, _ := jsontext.AppendUnquote(room, quoted)
	return b
}

// integer reads a number without fraction and exponent that fits.
func integer(raw []byte) (int64, bool) {
	if len(raw) > len("-9223372036854775808") {
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil
}

func digits(b []byte) bool {
	for _, c := range b {
		if !digit(c) {
			return false
		}
	}
	return len(b) > 0
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// noticeStatus tells whether a status is one of a notice: the relay's own, or what a device says of what it was
// sent. All others are the sender's own business.
func noticeStatus(raw []byte) bool {
	return isWord(raw, "sent", "delayed", "failed", StatusReceived, StatusRead)
}

// typingStatus tells whether a status is one of who is writing.
func typingStatus(raw []byte) bool { return isWord(raw, StatusTyping, StatusPaused) }

// isWord tells whether a value is one of some short words.
func isWord(raw []byte, words ...string) bool {
	if len(raw) > 64 || !isString(raw) { // the longest, each character escaped, has 50
		return false
	}
	var room [64]byte
	text := decode(room[:0], raw)
	for _, w := range words {
		if string(text) == w {
			return true
		}
	}
	return false
}
