package bridge

import (
	"encoding/json"
	"testing"
)

// Addresses for answers are kept in journals, alone and within notes: what an older chatrelay has written reads the same.
func TestReplyToIsStored(t *testing.T) {
	for stored, want := range map[string]ReplyTo{
		"":                            {},
		"1001@a.example":              {Sender: "1001@a.example"},
		"1001@a.example\x00full\x00i": {Sender: "1001@a.example", Handle: "full\x00i"},
	} {
		if got := ParseReplyTo(stored); got != want || got.Stored() != stored || got.IsZero() != (stored == "") {
			t.Errorf("ParseReplyTo(%q) = %+v, stored again %q; want %+v", stored, got, got.Stored(), want)
		}
	}
	for text, want := range map[string]Note{
		`{"status":"sent"}`:                        {Status: "sent"},
		`{"text":"no","reply":"a@b\u0000c\u0000"}`: {Text: "no", Reply: ReplyTo{Sender: "a@b", Handle: "c\x00"}},
	} {
		var got Note
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is read as %+v (%v), want %+v", text, got, err, want)
		}
		if again, err := json.Marshal(want); err != nil || string(again) != text {
			t.Errorf("%+v is written as %s (%v), want %s", want, again, err, text)
		}
	}
}
