package message

import (
	"bytes"
	"strings"
	"testing"
)

// What a stranger wrote is not passed on in a notice: only which message it was.
func TestKeyNotice(t *testing.T) {
	const end = `"status":"failed","reason":"no","statusTime":1700000001000}`
	long := strings.Repeat("x", 4000)
	for name, tt := range map[string]struct{ body, want string }{
		"a message": {`{"chatType":1,"content":"SECRET","contentType":0,"from":"1001","to":"1002","groupJid":"","groupName":"SECRET","timeStamp":17,"name":"SECRET","photo":"SECRET","x":"SECRET"}`,
			`{"from":"1001","to":"1002","chatType":1,"timeStamp":17,` + end},
		"a group message": {`{"content":"SECRET","from":"1001","groupJid":"team@x","chatType":2,"id":"a7"}`,
			`{"from":"1001","groupJid":"team@x","chatType":2,"id":"a7",` + end},
		"values as they came":     {`{"to":1002,"from": "\u00311" ,"timeStamp":"1.5e9","id":-7}`, `{"from":"\u00311","to":1002,"id":-7,"timeStamp":"1.5e9",` + end},
		"msgId is the id":         {`{"from":"1001","msgId":"m"}`, `{"from":"1001","id":"m",` + end},
		"id before msgId":         {`{"from":"1001","msgId":"m","id":"i"}`, `{"from":"1001","id":"i",` + end},
		"fields of no such form":  {`{"from":["SECRET"],"to":{"a":"SECRET"},"groupJid":["SECRET"],"chatType":"SECRET","id":["SECRET"],"timeStamp":"SECRET"}`, `{` + end},
		"fields given twice":      {`{"from":"1001","to":"1002","to":"SECRET","id":"1","id":"SECRET"}`, `{"from":"1001",` + end},
		"a status of the sender":  {`{"from":"1001","status":"SECRET","reason":"SECRET","statusTime":"SECRET"}`, `{"from":"1001",` + end},
		"long texts":              {`{"from":"1001","to":"` + long + `","groupJid":"` + long + `","id":"` + long + `","timeStamp":1` + strings.Repeat("0", 4000) + `,"chatType":1` + strings.Repeat("0", 400) + `}`, `{"from":"1001",` + end},
		"long numbers that count": {`{"from":"1001","timeStamp":1.` + strings.Repeat("0", 4000) + `}`, `{"from":"1001",` + end},
		"no object":               {`SECRET`, `{` + end},
		"half an object":          {`{"from":"1001","content":"SECRET`, `{` + end},
		"nothing":                 {``, `{` + end},
	} {
		t.Run(name, func(t *testing.T) {
			was := []byte(tt.body)
			got := KeyNotice(was, "failed", "no", noticeTime)
			if string(got) != tt.want {
				t.Errorf("KeyNotice = %s\nwant        %s", got, tt.want)
			}
			if string(was) != tt.body {
				t.Error("the body was changed")
			}
			if again := KeyNotice(got, "failed", "no", noticeTime); !bytes.Equal(again, got) {
				t.Errorf("of itself: %s", again)
			}
			if e, err := Parse(got, testRules()); err != nil || !e.Notice {
				t.Errorf("it is not known as a notice: %+v, %v", e, err)
			}
		})
	}
}

// Of what was refused, landlines are held against the rules and groups against what is served.
func TestKeyFields(t *testing.T) {
	served := func(group string) bool { return group == "team@x" }
	for name, tt := range map[string]struct{ body, want string }{
		"sound":           {`{"from":"1001","to":"1002","groupJid":"team@x","content":7,"timeStamp":5}`, `{"from":"1001","to":"1002","groupJid":"team@x","timeStamp":5}`},
		"a text for to":   {`{"from":"1001","to":"come and see","id":"1"}`, `{"from":"1001","id":"1"}`},
		"the relay's own": {`{"from":"receiver","to":"1002"}`, `{"to":"1002"}`},
		"another group":   {`{"from":"1001","groupJid":"buy this now"}`, `{"from":"1001"}`},
		"no object":       {`[1]`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(KeyFields([]byte(tt.body), testRules(), served)); got != tt.want {
				t.Errorf("KeyFields = %s, want %s", got, tt.want)
			}
		})
	}
}

// FuzzKeyNotice: no notice about an unproven message is longer than its key fields may be, and each is known as one.
func FuzzKeyNotice(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		out := KeyNotice(b, "failed", "no", noticeTime)
		if !bytes.Equal(b, was) || !bytes.Equal(out, KeyNotice(b, "failed", "no", noticeTime)) {
			t.Fatalf("KeyNotice of %q changes it, or is not always the same", b)
		}
		if len(out) > 5*maxKeyField+200 {
			t.Fatalf("%d bytes of %d", len(out), len(b))
		}
		e, err := Parse(out, &Rules{})
		if err != nil || !e.Notice || e.Content != "" {
			t.Fatalf("%q is not known as a notice: %+v, %v", out, e, err)
		}
		in, err := Parse(b, &Rules{})
		if err == nil && !in.Notice && len(in.GroupJID) <= maxID && (e.From != in.From || e.To != in.To || e.GroupJID != in.GroupJID || e.ID != in.ID) {
			t.Fatalf("%q does not say which message it is about: %+v, was %+v", out, e, in)
		}
	})
}
