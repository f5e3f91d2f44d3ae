package message

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is made of a text is an envelope that says the same, whatever stands in it.
func TestTextRoundTrip(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	for name, want := range map[string]Text{
		"plain": {From: "1001", To: "1002", ID: "i", Content: "hello", Name: "Ann", Time: at},
		"marks": {From: "1001", To: "1002", ID: `a"b`, Content: "\"quoted\" \\ <&>\n\u2028 \u0007 你好 \U0001F600 \uffff", Time: at},
		"empty": {From: "1001", To: "1002", Time: at},
		"a file that answers": {From: "1001", To: "1002", ID: "2", Content: "https://example.org/a.png", ContentType: 1, Time: at,
			Replaces: "0", Retracts: "1", ReplyTo: "x y"},
		"without a time": {From: "1001", To: "1002", ID: "i"},
	} {
		t.Run(name, func(t *testing.T) {
			body := want.Envelope()
			if diff := cmp.Diff(want, TextOf(body)); diff != "" {
				t.Errorf("%s\n%s", body, diff)
			}
			e, err := Parse(body, &Rules{MaxBytes: 1 << 20})
			if err != nil || e.From != want.From || e.To != want.To || e.Content != want.Content || e.ID != want.ID || e.ContentType != want.ContentType || e.Group() {
				t.Errorf("%s: got %+v, %v", body, e, err)
			}
			if !IsEnvelope(body) {
				t.Error("it is taken for a text")
			}
		})
	}
}

func TestTextOf(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want Text
	}{
		"numbers":            {`{"from":1001,"to":1002,"id":7,"content":"x","replaces":5,"timeStamp":1700000000}`, Text{From: "1001", To: "1002", ID: "7", Content: "x", Replaces: "5", Time: time.Unix(1_700_000_000, 0)}},
		"msgId":              {`{"msgId":"m","from":"1","content":"x"}`, Text{From: "1", ID: "m", Content: "x"}},
		"id before msgId":    {`{"msgId":"m","id":"i","from":"1","content":"x"}`, Text{From: "1", ID: "i", Content: "x"}},
		"id behind":          {`{"id":"i","msgId":"m","from":"1","content":"x"}`, Text{From: "1", ID: "i", Content: "x"}},
		"of another form":    {`{"from":"1","content":"x","replaces":{"id":1},"retracts":[],"replyTo":true,"name":null}`, Text{From: "1", Content: "x"}},
		"empty, or too long": {`{"from":"1","content":"x","replaces":""}`, Text{From: "1", Content: "x"}},
		"no envelope":        {`hello`, Text{}},
	} {
		if diff := cmp.Diff(tt.want, TextOf([]byte(tt.body))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestIsEnvelope(t *testing.T) {
	for body, want := range map[string]bool{
		`{"from":"1","content":"x"}`: true, ` {"content":7,"from":{}} `: true,
		`hello`: false, `{hello}`: false, `{"a":1}`: false, `{"from":"1"}`: false, `{"content":"x"}`: false, `[1]`: false, ``: false,
		`{"from":"1","content":"x"} and more`: false, `"from content"`: false,
	} {
		if got := IsEnvelope([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}
