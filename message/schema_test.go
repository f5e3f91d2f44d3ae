package message

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// schema is one of JSON Schema, as far as ours goes.
type schema struct {
	Ref                  string             `json:"$ref"`
	Defs                 map[string]*schema `json:"$defs"`
	Type                 any                `json:"type"`
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	AnyOf                []*schema          `json:"anyOf"`
	Not, If, Else        *schema
	Const                any         `json:"const"`
	Enum                 []any       `json:"enum"`
	Pattern              string      `json:"pattern"`
	MinLength, MaxLength *int        // in characters
	Minimum, Maximum     json.Number `json:",omitempty"`

	matches *regexp.Regexp // Pattern, once it was needed
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	}
	return "unknown"
}

func (s *schema) types() (all []string) {
	switch t := s.Type.(type) {
	case string:
		all = []string{t}
	case []any:
		for _, one := range t {
			all = append(all, one.(string))
		}
	}
	return all
}

// takes tells whether a value is of the schema; root has what it refers to.
func (s *schema) takes(root *schema, v any) bool {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok && !root.Defs[name].takes(root, v) {
		return false
	}
	if types := s.types(); len(types) > 0 {
		ok := false
		for _, t := range types {
			ok = ok || t == typeOf(v) || t == "number" && typeOf(v) == "integer"
		}
		if !ok {
			return false
		}
	}
	if len(s.AnyOf) > 0 {
		ok := false
		for _, one := range s.AnyOf {
			ok = ok || one.takes(root, v)
		}
		if !ok {
			return false
		}
	}
	if s.Const != nil && !reflect.DeepEqual(s.Const, v) || s.Not != nil && s.Not.takes(root, v) || s.If != nil && !s.If.takes(root, v) && !s.Else.takes(root, v) {
		return false
	}
	return s.takesValue(root, v)
}

func (s *schema) matching(text string) bool {
	if s.matches == nil {
		s.matches = regexp.MustCompile(s.Pattern)
	}
	return s.matches.MatchString(text)
}

func (s *schema) takesValue(root *schema, v any) bool {
	ok := len(s.Enum) == 0
	for _, one := range s.Enum {
		ok = ok || reflect.DeepEqual(one, v)
	}
	switch v := v.(type) {
	case string:
		n := utf8.RuneCountInString(v)
		return ok && (s.Pattern == "" || s.matching(v)) && (s.MinLength == nil || n >= *s.MinLength) && (s.MaxLength == nil || n <= *s.MaxLength)
	case json.Number:
		n, _ := new(big.Float).SetPrec(200).SetString(v.String())
		for _, bound := range []struct {
			at   json.Number
			sign int
		}{{s.Minimum, -1}, {s.Maximum, 1}} {
			if limit, set := new(big.Float).SetPrec(200).SetString(bound.at.String()); set && n.Cmp(limit) == bound.sign {
				return false
			}
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, has := v[name]; !has {
				return false
			}
		}
		for name, p := range s.Properties {
			if value, has := v[name]; has && !p.takes(root, value) {
				return false
			}
		}
	}
	return ok
}

func numbered(t *testing.T, text []byte, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// TestSchema: docs/envelope.schema.json takes what Parse takes, and nothing else: each field in each form, alone and beside each of
// those that it has to do with.
func TestSchema(t *testing.T) {
	text, err := os.ReadFile("../docs/envelope.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	numbered(t, text, &root)
	values := []string{`""`, `"a"`, `"1001"`, `"a b"`, `"a@b.c"`, `"-1"`, `"+1"`, `"1.5"`, `"1700000000"`, `"99999999999999999999"`, `"sent"`, `"read"`, `"other"`,
		`"` + strings.Repeat("x", 64) + `"`, `"` + strings.Repeat("x", 65) + `"`, `"` + strings.Repeat("x", 255) + `"`, `"` + strings.Repeat("x", 256) + `"`,
		`0`, `1`, `2`, `-1`, `1001`, `1.5`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775809`, `null`, `true`, `[]`, `{}`}
	fields := []string{"to", "chatType", "groupJid", "status", "statusTime", "id", "msgId",
		"from", "content", "contentType", "groupName", "name", "photo", "timeStamp", "replaces", "retracts", "replyTo", "other"}
	const together = 7 // of them have to do with one another
	tried, taken := 0, 0
	try := func(members map[string]string) {
		var b strings.Builder
		for name, value := range members {
			if value != "" {
				fmt.Fprintf(&b, ",%q:%s", name, value)
			}
		}
		body := "{" + strings.TrimPrefix(b.String(), ",") + "}"
		var v any
		numbered(t, []byte(body), &v)
		_, err := Parse([]byte(body), &Rules{})
		if got := root.takes(&root, v); got != (err == nil) {
			t.Errorf("%.300s\nthe schema says %v, the parser %v", body, got, err)
		}
		if tried++; err == nil {
			taken++
		}
	}
	for i, one := range fields {
		for _, a := range append(values, "") {
			try(map[string]string{"from": `"1001"`, "content": `"x"`, one: a})
			for _, other := range fields[min(i+1, together):together] {
				for _, b := range append(values[i%2:], "") {
					try(map[string]string{"from": `"1001"`, "content": `"x"`, one: a, other: b})
					if t.Failed() {
						return
					}
				}
			}
		}
	}
	for _, status := range []string{`"typing"`, `"paused"`, `"read"`, `"other"`, `1`, ""} {
		for _, content := range []string{`"x"`, `1`, ""} {
			for _, at := range []string{`1`, `null`, ""} {
				try(map[string]string{"from": `"1001"`, "to": `"1002"`, "content": content, "status": status, "statusTime": at})
			}
		}
	}
	t.Logf("%d bodies, %d of them envelopes", tried, taken)
	if taken < tried/10 || taken > tried*9/10 {
		t.Error("that says little")
	}
}
