package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// seeds are bodies of all kinds, sound and unsound.
func seeds(f *testing.F) []string {
	f.Helper()
	list := []string{
		benchBody, body(f), group(f), body(f, "from", "1001", "to", "1002"), body(f, "timeStamp", `"1.7e9"`),
		body(f, "to", ""), body(f, "timeStamp", ""), body(f, "timeStamp", "", "msgId", "7"),
		body(f, "content", `"\ud83d\ude00\ufffe"`), body(f, "content", "\"\uFFFE\uFFFF\uFFFD\\\\\uFFFF\""), body(f, "content", `"\ud800"`),
		body(f, "contentType", "null", "photo", "null", "name", ""), group(f, "to", `""`),
		with(body(f), `"fr\u006fm":"1009"`), with(body(f), `"status":"sent","statusTime":1`),
		with(body(f), `"status":1,"status":2,"status":3,"reason":[],"reason":{}`),
		with(body(f), `"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)),
		with(body(f), `"x":`+strings.Repeat(`{"a":`, 32)+"1"+strings.Repeat("}", 32)),
		" {\t} \n", "{}{}", "[]", "null", "", "{", `{"a":1,}`, "{\"\xff\":1}", `{"":"","":""}`, `{"from":"1001"}`, "\uFEFF{}",
		body(f, "timeStamp", "-9223372036854775808"), body(f, "timeStamp", "0.0005"), body(f, "id", "-0"),
	}
	return list
}

// pair is a member of an object as encoding/json sees it.
type pair struct {
	Name  string
	Value string // raw
}

// pairs reads an object's members in their order, those of one name too.
func pairs(t *testing.T, b []byte) []pair {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		t.Fatalf("%q is no object: %v, %v", b, tok, err)
	}
	list := []pair{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		list = append(list, pair{name.(string), string(value)})
	}
	return list
}

// depth is how deep sound JSON nests, as encoding/json counts.
func depth(b []byte) (most int) {
	d, now := json.NewDecoder(bytes.NewReader(b)), 0
	d.UseNumber()
	for {
		tok, err := d.Token()
		if err != nil {
			return most
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			now++
		case json.Delim('}'), json.Delim(']'):
			now--
		}
		most = max(most, now)
	}
}

// unsound are the reasons of bodies that are no sound JSON object.
var unsound = []string{NotJSON, NotObject, TrailingData, TooDeep, BadUTF8, BadSurrogate}

func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		e, err := Parse(b, testRules())
		if !bytes.Equal(b, was) {
			t.Fatalf("Parse changed the body %q to %q", was, b)
		}
		if err != nil {
			checkRefused(t, b, e, err)
			return
		}
		switch {
		case !json.Valid(b):
			t.Fatalf("accepted, but not JSON: %q", b)
		case !utf8.Valid(b):
			t.Fatalf("accepted, but not UTF-8: %q", b)
		case depth(b) > 32:
			t.Fatalf("accepted, but too deep: %q", b)
		case !e.Notice:
			checkFields(t, b, &e)
		}
	})
}

// checkRefused holds a refusal against what encoding/json thinks of the body.
func checkRefused(t *testing.T, b []byte, e Envelope, err error) {
	t.Helper()
	var why *Refusal
	if !errors.As(err, &why) {
		t.Fatalf("%T is no refusal", err)
	}
	valid := json.Valid(b)
	switch {
	case !reflect.DeepEqual(e, Envelope{From: e.From}):
		t.Fatalf("a refused envelope tells more than its sender: %+v", e)
	case !valid && !slices.Contains(unsound, why.Reason):
		t.Fatalf("%q is not JSON, but refused as %s", b, why.Reason)
	case valid && (why.Reason == NotJSON || why.Reason == TrailingData):
		t.Fatalf("%q is JSON, but refused as %s", b, why.Reason)
	case why.Reason == BadUTF8 && utf8.Valid(b):
		t.Fatalf("%q is UTF-8, but refused as %s", b, why.Reason)
	case valid && why.Reason == TooDeep && depth(b) <= 32:
		t.Fatalf("%q is not too deep", b)
	case valid && why.Reason == BadSurrogate && !bytes.Contains(bytes.ToLower(b), []byte(`\ud`)):
		t.Fatalf("%q has no surrogate", b)
	}
	if e.From == "" {
		return
	}
	if slices.Contains(unsound, why.Reason) || !DefaultLandline(e.From) || e.From == "receiver" {
		t.Fatalf("%q is refused as %s, but tells its sender %q", b, why.Reason, e.From)
	}
	n := WithNotice(b, "failed", why.Text, noticeTime)
	if ne, err := Parse(n, &Rules{}); err != nil || !ne.Notice {
		t.Fatalf("the notice %q of a refusal is not recognised: %+v, %v", n, ne, err)
	}
}

// checkFields compares an accepted envelope with the same fields as encoding/json reads them.
func checkFields(t *testing.T, b []byte, e *Envelope) {
	t.Helper()
	fields := make(map[string]any)
	for _, p := range pairs(t, b) {
		d := json.NewDecoder(strings.NewReader(p.Value))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if f, known := fieldOf([]byte(p.Name)); known {
			if _, twice := fields[f.name()]; twice {
				t.Fatalf("%q accepted with %q twice", b, p.Name)
			}
			fields[f.name()] = v
		}
	}
	words := func(v any) string {
		switch v := v.(type) {
		case string:
			return v
		case json.Number:
			return v.String()
		}
		return ""
	}
	whole := func(v any) int64 {
		if v == nil {
			return 0
		}
		n, err := v.(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	id := words(fields["id"])
	if id == "" {
		id = words(fields["msgId"])
	}
	want := Envelope{From: words(fields["from"]), To: words(fields["to"]), GroupJID: words(fields["groupJid"]),
		GroupName: words(fields["groupName"]), ChatType: whole(fields["chatType"]), ContentType: whole(fields["contentType"]),
		Content: fields["content"].(string), ID: id}
	if stamp, ok := fields["timeStamp"]; ok {
		want.HasTime, want.Time, want.subMS = true, e.Time, e.subMS
		checkTime(t, words(stamp), e)
	}
	if !reflect.DeepEqual(want, *e) {
		t.Fatalf("%q is read as %+v, want %+v", b, *e, want)
	}
	if !DefaultLandline(e.From) || e.To != "" && !DefaultLandline(e.To) || !e.Group() && e.ChatType == 2 {
		t.Fatalf("accepted against the rules: %+v", *e)
	}
	_ = e.Key()
}

func checkTime(t *testing.T, s string, e *Envelope) {
	t.Helper()
	got, err := json.Number(s).Float64()
	if err != nil {
		if !math.IsInf(got, 0) { // 0e999 is none, and read exactly
			t.Fatalf("time %q: %v", s, err)
		}
		return
	}
	if got < 1e11-1 && got > -1e11+1 {
		got *= 1000
	} else if math.Abs(math.Abs(got)-1e11) <= 1 {
		return // a float does not tell which side of the border it is on
	}
	if ms := float64(e.Time) + float64(e.subMS)/1e9; math.Abs(ms-got) > 1e-3+math.Abs(got)*1e-12 {
		t.Fatalf("time %q is read as %v ms, want about %v", s, ms, got)
	}
}

func FuzzKey(f *testing.F) {
	f.Add("1001", "1002", "", "", "hi", int64(1700000000123), int64(0))
	f.Add("1001", "", "r@x", "", "\uFFFE😀\"\\", int64(1700000000000), int64(7))
	f.Add("a.b", "C", "\uFFFF", "i-1", "", int64(-5), int64(-1))
	f.Add("1", "2", "", "17", "\x00\u2028", int64(99999999999), int64(math.MinInt64))
	f.Add("0", "00", "", "", "x", int64(math.MaxInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, from, to, room, id, content string, at, kind int64) {
		for _, s := range []string{room, id, content} {
			if !utf8.ValidString(s) {
				return
			}
		}
		if !DefaultLandline(from) || !DefaultLandline(to) || from == "receiver" || to == "receiver" || len(id) > maxID {
			return
		}
		plain := func(v any) string {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		spelled := func(s string) string { return escaped(s) }
		write := func(quote func(string) string, stamp string) string {
			b := `{"from":` + quote(from) + `,"to":` + quote(to) + `,"groupJid":` + quote(room) + `,"content":` + quote(content) +
				`,"contentType":` + plain(kind) + `,"timeStamp":` + stamp
			if id != "" {
				b += `,"id":` + quote(id)
			}
			return b + "}"
		}
		stamp := plain(at)
		a := mustParse(t, write(func(s string) string { return plain(s) }, stamp))
		b := mustParse(t, write(spelled, `"`+stamp+`"`))
		if diff := cmp.Diff(a, b, cmp.AllowUnexported(Envelope{})); diff != "" {
			t.Fatalf("two spellings are read differently:\n%s", diff)
		}
		key := a.Key()
		if key != b.Key() {
			t.Fatal("two spellings have two keys")
		}
		if again := a; again.Key() != key {
			t.Fatal("a key is not always the same")
		}
		// Each of these says something else, so it must have another key.
		for name, change := range map[string]func(*Envelope){
			"from":        func(e *Envelope) { e.From += "0" },
			"room":        func(e *Envelope) { e.GroupJID += "0" },
			"content":     func(e *Envelope) { e.Content += "\x00" },
			"contentType": func(e *Envelope) { e.ContentType++ },
			"id":          func(e *Envelope) { e.ID += "0" },
			"moved":       func(e *Envelope) { e.From, e.Content = e.From+"0", strings.TrimPrefix(e.Content, "0")+"1" },
		} {
			other := a
			change(&other)
			if other.Key() == key {
				t.Fatalf("another %s, and the same key", name)
			}
		}
		other := a
		other.To += "0"
		if same := other.Key() == key; same != a.Group() {
			t.Fatalf("another to: the same key is %v, group is %v", same, a.Group())
		}
		other = a
		other.Time++
		if same := other.Key() == key; same != (a.ID != "") {
			t.Fatalf("another time: the same key is %v, id is %q", same, a.ID)
		}
	})
}

func FuzzClock(f *testing.F) {
	for _, s := range []string{"0", "-0", "1700000000", `"1.7e12"`, "0.0005", "9223372036854775807", "-9223372036854775808.5", `"0e9"`, `"x"`, "1e-400", "99999999999.999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || !utf8.Valid(raw) || raw[0] != '"' && raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
			return
		}
		if bytes.Contains(raw, []byte(`\u`)) || len(bytes.TrimSpace(raw)) != len(raw) {
			return // escapes are FuzzParse's, and a value has no white space around it
		}
		ms, sub, ok := clock(raw)
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		s, number := "", false
		switch v := v.(type) {
		case string:
			s, number = v, v != "" && strings.Trim(v, " \t\r\n") == v && v[0] != '"' && json.Valid([]byte(v)) && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
		case json.Number:
			s, number = v.String(), true
		}
		if ok && !number {
			t.Fatalf("%q is no number, but read as %d", raw, ms)
		}
		if sub >= 1e9 {
			t.Fatalf("%q: %d picoseconds are a ms", raw, sub)
		}
		got, err := json.Number(s).Float64()
		switch {
		case !number:
		case err == nil && !ok && math.Abs(got) < math.MaxInt64/2:
			t.Fatalf("%q is a number in range, but refused", raw)
		case err == nil && ok && math.Abs(got) > math.MaxInt64*1.001:
			t.Fatalf("%q is out of range, but read as %d", raw, ms)
		case ok:
			checkTime(t, s, &Envelope{Time: ms, subMS: sub})
		}
	})
}
