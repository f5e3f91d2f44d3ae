package message

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEvents(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want Event
		ok   bool
	}{
		"read":                {`{"from":"1","to":2,"id":"m","status":"read","statusTime":1}`, Event{Status: "read", From: "1", To: "2", ID: "m"}, true},
		"received, msgId":     {`{"from":"1","to":"2","msgId":7,"status":"received","statusTime":1}`, Event{Status: "received", From: "1", To: "2", ID: "7"}, true},
		"typing":              {`{"from":"1","to":"2","status":"typing","statusTime":1}`, Event{Status: "typing", From: "1", To: "2"}, true},
		"paused":              {`{"from":"1","to":"2","status":"paused","statusTime":1}`, Event{Status: "paused", From: "1", To: "2"}, true},
		"typing, to nobody":   {`{"from":"1","status":"typing","statusTime":1}`, Event{}, false},
		"typing in a group":   {`{"from":"1","to":"2","groupJid":"g@r","status":"typing","statusTime":1}`, Event{}, false},
		"read, of nothing":    {`{"from":"1","to":"2","status":"read","statusTime":1}`, Event{}, false},
		"read, of any id":     {`{"from":"1","to":"2","id":{},"status":"read","statusTime":1}`, Event{}, false},
		"twice":               {`{"from":"1","to":"2","id":"m","status":"read","status":"received","statusTime":1}`, Event{}, false},
		"the relay's own":     {`{"from":"1","to":"2","id":"m","status":"sent","statusTime":1}`, Event{}, false},
		"a message":           {`{"from":"1","to":"2","content":"x","status":"typing","statusTime":1}`, Event{}, false},
		"no time":             {`{"from":"1","to":"2","status":"typing"}`, Event{}, false},
		"nothing of the kind": {`hello`, Event{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := EventOf([]byte(tt.body))
			if ok != tt.ok || ok && got != tt.want {
				t.Fatalf("got %+v, %v", got, ok)
			}
			if !ok {
				return
			}
			again, ok := EventOf(got.Notice(noticeTime))
			if diff := cmp.Diff(got, again); diff != "" || !ok {
				t.Errorf("%s is read back with %s", got.Notice(noticeTime), diff)
			}
			if e, err := Parse([]byte(tt.body), &Rules{}); err != nil || !e.Notice {
				t.Errorf("no notice: %+v, %v", e, err)
			}
		})
	}
	named := Event{Status: "read", From: "1", To: "2", Time: noticeTime}
	if got, want := string(named.Notice(noticeTime)), `{"chatType":1,"from":"1","to":"2","status":"read","timeStamp":1700000001000,"statusTime":1700000001000}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if read, typing := (Event{Status: "read", From: "1", To: "2"}), (Event{Status: "typing", From: "1", To: "2"}); read.Actor() != "2" || read.Recipient() != "1" || typing.Actor() != "1" || typing.Recipient() != "2" {
		t.Error("who tells whom")
	}
	// With a content it is a message, whose status is an ordinary field.
	e, err := Parse([]byte(`{"from":"1","to":"2","content":"x","status":"typing","statusTime":1}`), &Rules{})
	if err != nil || e.Notice || e.Content != "x" {
		t.Errorf("got %+v, %v", e, err)
	}
}
