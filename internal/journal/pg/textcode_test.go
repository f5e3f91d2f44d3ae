package pg

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "1001\x001002", "\x01", "\x02", "\x01a\x02b", "\xff\xfe", "Zoë \x00", "\x02xff", "\ufffd\uffff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := encodeText(s)
		if bytes.IndexByte(b, 0) >= 0 || !utf8.Valid(b) {
			t.Fatalf("%q is stored as %q", s, b)
		}
		if got, err := decodeText(b); err != nil || got != s {
			t.Fatalf("%q comes back as %q, %v", s, got, err)
		}
	})
}
