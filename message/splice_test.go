package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplice(t *testing.T) {
	to := []change{{"to", []byte(`"9"`)}}
	two := []change{{"a", []byte(`1`)}, {"b", []byte(`2`)}}
	for name, tt := range map[string]struct {
		body    string
		changes []change
		want    string
	}{
		"empty object":             {`{}`, to, `{"to":"9"}`},
		"empty object with spaces": {" { \n} ", to, " {\"to\":\"9\" \n} "},
		"empty object, two":        {`{}`, two, `{"a":1,"b":2}`},
		"added behind the last":    {`{"x":1}`, to, `{"x":1,"to":"9"}`},
		"added before white space": {"\t{ \"x\" : 1 \r\n}\n", to, "\t{ \"x\" : 1,\"to\":\"9\" \r\n}\n"},
		"added behind an object":   {`{"x":{"to":1}}`, to, `{"x":{"to":1},"to":"9"}`},
		"added behind a string":    {`{"x":"}"}`, to, `{"x":"}","to":"9"}`},
		"replaced":                 {`{"to":"1002","x":1}`, to, `{"to":"9","x":1}`},
		"replaced, last":           {`{"x":1,"to":"1002"}`, to, `{"x":1,"to":"9"}`},
		"replaced, white space":    {"{ \"to\"\t:\n\"1002\" , \"x\":1}", to, "{ \"to\"\t:\n\"9\" , \"x\":1}"},
		"replaced, name escaped":   {`{"\u0074o":"1002"}`, to, `{"\u0074o":"9"}`},
		"replaced, a number":       {`{"to":1002}`, to, `{"to":"9"}`},
		"replaced, an object":      {`{"to":{"to":[1,"}"]},"x":1}`, to, `{"to":"9","x":1}`},
		"names like it stay":       {`{"TO":1,"to ":2," to":3,"t":4,"too":5}`, to, `{"TO":1,"to ":2," to":3,"t":4,"too":5,"to":"9"}`},
		"twice: both":              {`{"to":1,"x":0,"to":2}`, to, `{"to":"9","x":0,"to":"9"}`},
		"twice, side by side":      {`{"to":1,"\u0074\u006f":2}`, to, `{"to":"9","\u0074\u006f":"9"}`},
		"thrice: first and last":   {`{"to":1,"to":2,"to":3}`, to, `{"to":"9","to":2,"to":"9"}`},
		"five times":               {`{"to":1,"to":2,"x":0,"to":3,"to":4,"to":5}`, to, `{"to":"9","to":2,"x":0,"to":3,"to":4,"to":"9"}`},
		"several, mixed":           {`{"b":7,"a":6,"b":8,"a":5,"b":9,"a":4}`, two, `{"b":2,"a":1,"b":8,"a":5,"b":2,"a":1}`},
		"one there, one not":       {`{"b":7}`, two, `{"b":2,"a":1}`},
		"bytes that look odd stay": {"{\"x\":\"\uFFFE\\u0000\\/\",\"y\":1.0e+0,\"to\":0}", to, "{\"x\":\"\uFFFE\\u0000\\/\",\"y\":1.0e+0,\"to\":\"9\"}"},
		"no object":                {`[1]`, to, `[1]`},
		"no JSON":                  {`{"x":`, to, `{"x":`},
		"nothing":                  {``, to, ``},
		"two values":               {`{}{}`, to, `{}{}`},
		"bad UTF-8":                {"{\"x\":\"\xff\"}", to, "{\"x\":\"\xff\"}"},
		"a bad end":                {`{"to":1,}`, to, `{"to":1,}`},
		"too deep":                 {`{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, to, `{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`},
		"no change":                {`{"x":1}`, nil, `{"x":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			given := []byte(tt.body)
			got := string(splice(given, tt.changes...))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("splice (-want +got):\n%s", diff)
			}
			if string(given) != tt.body {
				t.Errorf("splice changed the body itself to %q", given)
			}
			if again := string(splice([]byte(got), tt.changes...)); again != got {
				t.Errorf("spliced again: %q, want %q", again, got)
			}
		})
	}
}

// The copy must not share its spare room with the body: both travel on.
func TestSpliceDoesNotShare(t *testing.T) {
	room := make([]byte, 0, 200)
	b := append(room, body(t)...)
	was := string(b)
	out := WithID(b, "x")
	for i := range out {
		out[i] = '!'
	}
	if string(b) != was {
		t.Errorf("writing to the copy changed the body: %q", b)
	}
}

func TestWithID(t *testing.T) {
	for name, tt := range map[string]struct{ body, id, want string }{
		"added":           {`{"from":"1","to":"2","content":""}`, "cr-7", `{"from":"1","to":"2","content":"","id":"cr-7"}`},
		"quoted":          {`{}`, "a\"\\\n\u2028", "{\"id\":\"a\\\"\\\\\\n\u2028\"}"},
		"not a number":    {`{}`, "7", `{"id":"7"}`},
		"there already":   {`{"id":5}`, "x", `{"id":"x"}`},
		"beside a msgId":  {`{"msgId":5}`, "x", `{"msgId":5,"id":"x"}`},
		"bad text marked": {`{}`, "a\xffb", `{"id":"a?b"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(WithID([]byte(tt.body), tt.id)); got != tt.want {
				t.Errorf("WithID = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWithTo(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"missing":           {`{"from":1}`, `{"from":1,"to":"1002"}`},
		"empty":             {`{"to":"","from":1}`, `{"to":"1002","from":1}`},
		"other":             {`{"to":"1003"}`, `{"to":"1002"}`},
		"other number":      {`{"to":10020}`, `{"to":"1002"}`},
		"the same":          {`{"to":"1002"}`, `{"to":"1002"}`},
		"the same number":   {`{"to":1002}`, `{"to":1002}`},
		"the same, escaped": {`{"t\u006f":"\u0031002"}`, `{"t\u006f":"\u0031002"}`},
		"null":              {`{"to":null}`, `{"to":"1002"}`},
		"a fraction":        {`{"to":1002.0}`, `{"to":"1002"}`},
		"no object":         {`[]`, `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			given := []byte(tt.body)
			got := WithTo(given, "1002")
			if string(got) != tt.want {
				t.Errorf("WithTo = %s, want %s", got, tt.want)
			}
			if tt.body == tt.want && &got[0] != &given[0] {
				t.Error("a body that has this to already was copied")
			}
		})
	}
}

// A group copy's to is no part of the key: the copy that comes back is known.
func TestWithToKeepsTheGroupKey(t *testing.T) {
	for name, b := range map[string]string{
		"to replaced": group(t),
		"to added":    group(t, "to", ""),
		"to empty":    group(t, "to", `""`),
		"with an id":  group(t, "id", "5"),
	} {
		t.Run(name, func(t *testing.T) {
			after := string(WithTo([]byte(b), "1077"))
			if keyOf(t, b) != keyOf(t, after) {
				t.Errorf("the key of %s changed", after)
			}
			if e := mustParse(t, after); e.To != "1077" {
				t.Errorf("to is %q", e.To)
			}
		})
	}
}
