package message

import "testing"

func TestXMLSafe(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"nothing to do":         {`{"a":"b"}`, `{"a":"b"}`},
		"empty":                 {"", ""},
		"U+FFFE":                {"{\"a\":\"x\uFFFEy\"}", `{"a":"x\ufffey"}`},
		"U+FFFF":                {"{\"a\":\"x\uFFFFy\"}", `{"a":"x\uffffy"}`},
		"several":               {"{\"a\":\"\uFFFE\uFFFF\uFFFE\"}", `{"a":"\ufffe\uffff\ufffe"}`},
		"in a name":             {"{\"\uFFFE\":1}", `{"\ufffe":1}`},
		"neighbours stay":       {"{\"a\":\"\uFFFD\uFFFE\uFFC0\uFB01\U0001FFFE\U0010FFFF\"}", "{\"a\":\"\uFFFD\\ufffe\uFFC0\uFB01\U0001FFFE\U0010FFFF\"}"},
		"U+FFFD alone stays":    {"{\"a\":\"\uFFFD\"}", "{\"a\":\"\uFFFD\"}"},
		"behind a backslash":    {"{\"a\":\"\\\\\uFFFE\"}", `{"a":"\\\ufffe"}`},
		"escaped already":       {`{"a":"\ufffe\uFFFF"}`, `{"a":"\ufffe\uFFFF"}`},
		"unsound, cut short":    {"\uFFFE\xef\xbf", "\\ufffe\xef\xbf"},
		"unsound, broken bytes": {"\xef\xbf\uFFFF", "\xef\xbf\\uffff"},
	} {
		t.Run(name, func(t *testing.T) {
			given := []byte(tt.body)
			got := XMLSafe(given)
			if string(got) != tt.want {
				t.Errorf("XMLSafe = %q, want %q", got, tt.want)
			}
			if string(given) != tt.body {
				t.Errorf("XMLSafe changed the body itself to %q", given)
			}
			if tt.body == tt.want && len(got) > 0 && &got[0] != &given[0] {
				t.Error("a body with nothing to do was copied")
			}
		})
	}
}

func TestXMLSafeKeepsTheKey(t *testing.T) {
	b := group(t, "content", "\"\uFFFE \uFFFF\"", "groupJid", "\"r\uFFFF@x\"", "id", "\"\uFFFE\"")
	if keyOf(t, b) != keyOf(t, string(XMLSafe([]byte(b)))) {
		t.Error("the key changed")
	}
}
