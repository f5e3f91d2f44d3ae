package pg

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// PostgreSQL's text holds neither NUL nor what is no UTF-8. The tables' texts have a NUL between the two ends of a lane: it is kept as
// U+0001, so that a text is as long as before. What is rare stands behind U+0002.
const (
	forNUL = 1
	escape = 2
)

func encodeText(s string) []byte {
	if !strings.ContainsAny(s, "\x00\x01\x02") && utf8.ValidString(s) {
		return []byte(s)
	}
	b := make([]byte, 0, len(s)+8)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == 0:
			b = append(b, forNUL)
		case r == forNUL || r == escape:
			b = append(b, escape, 'w'+byte(r)) // x or y, which no hexadecimal number begins with
		case r == utf8.RuneError && n == 1:
			b = append(b, escape)
			b = hex.AppendEncode(b, []byte{s[0]})
		default:
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return b
}

func decodeText(b []byte) (string, error) {
	if bytes.IndexByte(b, forNUL) < 0 && bytes.IndexByte(b, escape) < 0 {
		return string(b), nil
	}
	out := make([]byte, 0, len(b))
	for ; len(b) > 0; b = b[1:] {
		switch {
		case b[0] == forNUL:
			out = append(out, 0)
		case b[0] != escape:
			out = append(out, b[0])
		case len(b) > 1 && (b[1] == 'x' || b[1] == 'y'):
			out, b = append(out, b[1]-'w'), b[1:]
		case len(b) > 2:
			var one [1]byte
			if _, err := hex.Decode(one[:], b[1:3]); err != nil {
				return "", err
			}
			out, b = append(out, one[0]), b[2:]
		default:
			return "", fmt.Errorf("text %q ends in the midst of an escape", out)
		}
	}
	return string(out), nil
}
