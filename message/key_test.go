package message

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// escaped is a JSON string in which every character is spelled out.
func escaped(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, u)
	}
	b.WriteByte('"')
	return b.String()
}

func keyOf(t testing.TB, b string) Key {
	t.Helper()
	e := mustParse(t, b)
	if !e.Identified() {
		t.Fatalf("%s is not identified", b)
	}
	return e.Key()
}

func group(t testing.TB, pairs ...string) string {
	t.Helper()
	return body(t, append([]string{"chatType", "2", "groupJid", `"r@x"`}, pairs...)...)
}

func TestKeyAgrees(t *testing.T) {
	long := strings.Repeat("x", 600)
	for name, tt := range map[string][2]string{
		"spaces":                {body(t), strings.ReplaceAll(body(t), ":", " : \n")},
		"order of fields":       {body(t, "from", ""), ""},
		"from as a number":      {body(t), body(t, "from", "1001")},
		"from escaped":          {body(t), body(t, "from", escaped("1001"))},
		"from's name escaped":   {body(t), with(body(t, "from", ""), `"fr\u006fm":"1001"`)},
		"to as a number":        {body(t), body(t, "to", "1002")},
		"time in a string":      {body(t), body(t, "timeStamp", `"1700000000123"`)},
		"time in seconds":       {body(t), body(t, "timeStamp", `1700000000.123`)},
		"whole seconds":         {body(t, "timeStamp", "1700000000"), body(t, "timeStamp", `"1700000000000"`)},
		"time with an exponent": {body(t), body(t, "timeStamp", `"1.700000000123E+12"`)},
		"contentType missing":   {body(t), body(t, "contentType", "")},
		"contentType null":      {body(t), body(t, "contentType", "null")},
		"contentType -0":        {body(t), body(t, "contentType", "-0")},
		"content escaped":       {body(t, "content", `"aé😀/"`), body(t, "content", `"\u0061\u00E9\ud83d\uDE00\/"`)},
		"U+FFFE":                {body(t, "content", "\"\uFFFE\""), body(t, "content", `"\ufffe"`)},
		"U+FFFF":                {body(t, "content", "\"\uFFFF\""), body(t, "content", `"\uFFFF"`)},
		"long content escaped":  {body(t, "content", `"`+long+`"`), body(t, "content", escaped(long))},
		"other fields":          {body(t), with(body(t, "name", `"B"`, "photo", `"x"`, "groupName", `"G"`), `"x":1,"status":"read"`)},
		"chatType missing":      {body(t), body(t, "chatType", "")},
		"chatType 3":            {body(t), body(t, "chatType", "3")},
		"groupJid missing":      {body(t), body(t, "groupJid", "")},
		"id for a time":         {body(t, "id", `"i"`), body(t, "id", `"i"`, "timeStamp", "5")},
		"id for no time":        {body(t, "id", `"i"`), body(t, "id", `"i"`, "timeStamp", "")},
		"id as a number":        {body(t, "id", `"77"`), body(t, "id", `77`)},
		"id as msgId":           {body(t, "id", `"i"`), body(t, "msgId", `"i"`)},
		"id beside a msgId":     {body(t, "id", `"i"`), body(t, "id", `"i"`, "msgId", `"m"`)},
		"inbox copies":          {group(t), group(t, "to", `"1003"`)},
		"inbox copy without to": {group(t), group(t, "to", "")},
		"inbox copy, empty to":  {group(t), group(t, "to", `""`)},
		"group by groupJid":     {group(t), group(t, "chatType", "1")},
	} {
		t.Run(name, func(t *testing.T) {
			if tt[1] == "" { // the same fields, the other way round
				tt[0], tt[1] = body(t), `{"from":"1001",`+strings.TrimPrefix(tt[0], "{")
			}
			if a, b := keyOf(t, tt[0]), keyOf(t, tt[1]); a != b {
				t.Errorf("keys %x and %x differ of\n%s\n%s", a, b, tt[0], tt[1])
			}
		})
	}
}

// No two of these may have one key.
func TestKeySeparates(t *testing.T) {
	bodies := map[string]string{
		"direct":                 body(t),
		"other from":             body(t, "from", `"1009"`),
		"other to":               body(t, "to", `"1009"`),
		"no to":                  body(t, "to", ""),
		"from and to swapped":    body(t, "from", `"1002"`, "to", `"1001"`),
		"from and to moved":      body(t, "from", `"10011"`, "to", `"002"`),
		"other content":          body(t, "content", `"ho"`),
		"no content":             body(t, "content", `""`),
		"content with NUL":       body(t, "content", `"hi\u0000"`),
		"content with capitals":  body(t, "content", `"Hi"`),
		"content U+FFFD":         body(t, "content", "\"\uFFFD\""),
		"content U+FFFE":         body(t, "content", "\"\uFFFE\""),
		"content U+FFFF":         body(t, "content", "\"\uFFFF\""),
		"é composed":             body(t, "content", "\"\u00e9\""),
		"é decomposed":           body(t, "content", "\"e\u0301\""),
		"other contentType":      body(t, "contentType", "1"),
		"negative contentType":   body(t, "contentType", "-1"),
		"contentType 256":        body(t, "contentType", "256"),
		"other time":             body(t, "timeStamp", "1700000000124"),
		"a µs later":             body(t, "timeStamp", "1700000000123.001"),
		"2 µs later":             body(t, "timeStamp", "1700000000123.002"),
		"negative time":          body(t, "timeStamp", "-1700000000123"),
		"time 5":                 body(t, "timeStamp", "5"),
		"id 5":                   body(t, "id", "5"),
		"id 5000":                body(t, "id", "5000"),
		"id 05":                  body(t, "id", `"05"`),
		"id is the time":         body(t, "id", `"1700000000123"`),
		"id like a time's bytes": body(t, "id", `"\u0000\u0000\u0000\u0000"`),
		"a's id":                 body(t, "id", `"a"`),
		"A's id":                 body(t, "id", `"A"`),
		"id and content moved":   body(t, "id", `"ah"`, "content", `"i"`),
		"group":                  group(t),
		"other group":            group(t, "groupJid", `"r@y"`),
		"group in capitals":      group(t, "groupJid", `"R@x"`),
		"group named as the to":  group(t, "groupJid", `"1002"`),
		"group, other from":      group(t, "from", `"1009"`),
		"group, other content":   group(t, "content", `"ho"`),
		"group, other time":      group(t, "timeStamp", "5"),
		"group, id 5":            group(t, "id", "5"),
		"group, other type":      group(t, "contentType", "1"),
	}
	seen := make(map[Key]string, len(bodies))
	for name, b := range bodies {
		k := keyOf(t, b)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", name, other)
		}
		seen[k] = name
	}
}

// Keys are kept in journals: what they are made of may not change. The values were made by another program.
func TestKeyIsFixed(t *testing.T) {
	for name, tt := range map[string]struct {
		key  Key
		want string
	}{
		"direct": {keyOf(t, body(t)), "247c2c72b4e529adfe122bd24b924ee8"},
		"id":     {keyOf(t, body(t, "id", `"i1"`)), "d5b91e4f82261ba9806a866ffede2e16"},
		"group":  {keyOf(t, group(t)), "13c33af649a95c479b316ebe76ba99dd"},
		"wire":   {WireKey("mqtt", "a", ""), "59b17ae1d46ad52e24035614c32417fd"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprintf("%x", tt.key); got != tt.want {
				t.Errorf("key %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWireKey(t *testing.T) {
	seen := make(map[Key]string)
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab"}, {"b", "a"}, {"a\x00b"}} {
		k := WireKey(parts...)
		if k != WireKey(parts...) {
			t.Errorf("WireKey(%q) is not always the same", parts)
		}
		if other, ok := seen[k]; ok {
			t.Errorf("WireKey(%q) = WireKey(%s)", parts, other)
		}
		seen[k] = fmt.Sprintf("%q", parts)
	}
}

// A wire's own identity is chosen by peers: it must not be able to make the bytes of an envelope's key.
func TestWireKeyIsNoEnvelopeKey(t *testing.T) {
	e := Envelope{From: "1", To: "2", HasTime: true, Time: 3, Content: "x"}
	if e.Key() == WireKey("1", "2", "\x00\x00\x00\x00\x00\x00\x00\x03", "x") {
		t.Error("one key for a wire's identity and an envelope")
	}
	if keyWire == keyDirect || keyWire == keyGroup || keyDirect == keyGroup {
		t.Error("kinds of keys share a first byte")
	}
}

func TestKeyWithID(t *testing.T) {
	b := body(t, "timeStamp", "")
	e := mustParse(t, b)
	after := mustParse(t, string(WithID([]byte(b), "cr-1")))
	if got, want := e.KeyWithID("cr-1"), after.Key(); got != want {
		t.Errorf("KeyWithID = %x, but the spliced body has %x", got, want)
	}
	if e.ID != "" || e.KeyWithID("cr-2") == e.KeyWithID("cr-1") {
		t.Error("KeyWithID changed the envelope, or does not look at the id")
	}
}
