package message

import (
	"strings"
	"testing"
	"time"
)

var noticeTime = time.UnixMilli(1700000001000)

func TestWithNotice(t *testing.T) {
	for name, tt := range map[string]struct{ body, status, reason, want string }{
		"sent":                {`{"x":1}`, "sent", "", `{"x":1,"status":"sent","statusTime":1700000001000}`},
		"delayed":             {`{"x":1}`, "delayed", "", `{"x":1,"status":"delayed","statusTime":1700000001000}`},
		"failed":              {`{"x":1}`, "failed", "no \"r\"", `{"x":1,"status":"failed","reason":"no \"r\"","statusTime":1700000001000}`},
		"empty object":        {`{}`, "sent", "", `{"status":"sent","statusTime":1700000001000}`},
		"a status there":      {`{"status":"read","x":1}`, "sent", "", `{"status":"sent","x":1,"statusTime":1700000001000}`},
		"a reason stays":      {`{"reason":"mine"}`, "sent", "", `{"reason":"mine","status":"sent","statusTime":1700000001000}`},
		"a reason replaced":   {`{"reason":["mine"]}`, "failed", "r", `{"reason":"r","status":"failed","statusTime":1700000001000}`},
		"a time replaced":     {`{"statusTime":"x"}`, "sent", "", `{"statusTime":1700000001000,"status":"sent"}`},
		"a name escaped":      {`{"st\u0061tus":1}`, "sent", "", `{"st\u0061tus":"sent","statusTime":1700000001000}`},
		"twice":               {`{"status":1,"status":2}`, "sent", "", `{"status":"sent","status":"sent","statusTime":1700000001000}`},
		"a server's bad text": {`{}`, "failed", "a\xff\xfeb\x00", `{"status":"failed","reason":"a?b\u0000","statusTime":1700000001000}`},
		"no object":           {`hello`, "failed", "r", `hello`},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(WithNotice([]byte(tt.body), tt.status, tt.reason, noticeTime))
			if got != tt.want {
				t.Errorf("WithNotice = %s, want %s", got, tt.want)
			}
			for range 3 { // a packet that is sent again must not differ
				if again := string(WithNotice([]byte(tt.body), tt.status, tt.reason, noticeTime)); again != got {
					t.Errorf("the second time: %s, want %s", again, got)
				}
			}
			if again := string(WithNotice([]byte(got), tt.status, tt.reason, noticeTime)); again != got {
				t.Errorf("of itself: %s, want %s", again, got)
			}
		})
	}
}

func TestWithNoticeTellsTheMillisecond(t *testing.T) {
	at := time.Unix(5, 123999999).In(time.FixedZone("x", 3600))
	if got, want := string(WithNotice([]byte(`{}`), "sent", "", at)), `{"status":"sent","statusTime":5123}`; got != want {
		t.Errorf("WithNotice = %s, want %s", got, want)
	}
}

// Whatever Parse accepts or refuses with a From, its notice is known as one: else a refusal would be answered by
// a notice that is refused and answered, without end.
func TestNoticesAreRecognised(t *testing.T) {
	for name, b := range map[string]string{
		"a sound message":       body(t),
		"a group message":       group(t),
		"a bad to":              body(t, "to", `"+"`),
		"no content":            body(t, "content", ""),
		"a bad time":            body(t, "timeStamp", "{}"),
		"content twice":         with(body(t), `"content":1`),
		"status twice":          with(body(t), `"status":"a","status":"b"`),
		"status thrice":         with(body(t), `"status":"a","status":"b","status":3`),
		"status twice, escaped": with(body(t), `"status":"a","st\u0061tus":"b"`),
		"statusTime twice":      with(body(t), `"statusTime":null,"statusTime":[]`),
		"reason twice":          with(body(t), `"reason":1,"reason":2`),
		"a status of its own":   with(body(t), `"status":{"a":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			if e, _ := Parse([]byte(b), testRules()); e.From != "1001" || e.Notice {
				t.Fatalf("Parse(%s) = %+v, want its sender", b, e)
			}
			for _, status := range []string{"sent", "delayed", "failed"} {
				n := WithNotice([]byte(b), status, "because", noticeTime)
				if e, err := Parse(n, testRules()); err != nil || !e.Notice || e.From != "1001" {
					t.Errorf("Parse(%s) = %+v, %v, want a notice", n, e, err)
				}
			}
		})
	}
}

func TestNoticeForms(t *testing.T) {
	for name, tt := range map[string]struct {
		members string
		want    bool
	}{
		"sent":                      {`"status":"sent","statusTime":1`, true},
		"delayed":                   {`"status":"delayed","statusTime":1`, true},
		"failed":                    {`"status":"failed","statusTime":1,"reason":"x"`, true},
		"the other way round":       {`"statusTime":1,"status":"sent"`, true},
		"escaped":                   {`"st\u0061tus":` + escaped("delayed") + `,"status\u0054ime":1`, true},
		"a time of any type":        {`"status":"sent","statusTime":null`, true},
		"received":                  {`"status":"received","statusTime":1`, true},
		"read":                      {`"status":"read","statusTime":1`, true},
		"received, escaped":         {`"status":` + escaped("received") + `,"statusTime":1`, true},
		"second of two":             {`"status":"busy","status":"sent","statusTime":1`, true},
		"first of two":              {`"status":"sent","status":"busy","statusTime":1`, true},
		"read, no time":             {`"status":"read"`, false},
		"no time":                   {`"status":"sent"`, false},
		"no status":                 {`"statusTime":1`, false},
		"another status":            {`"status":"busy","statusTime":1`, false},
		"empty status":              {`"status":"","statusTime":1`, false},
		"status null":               {`"status":null,"statusTime":1`, false},
		"a status in capitals":      {`"status":"SENT","statusTime":1`, false},
		"a status with a space":     {`"status":"sent ","statusTime":1`, false},
		"a long status":             {`"status":"` + strings.Repeat("sent", 50) + `","statusTime":1`, false},
		"the word elsewhere":        {`"id":"sent","statusTime":1`, false},
		"the word beside":           {`"id":"sent","status":"busy","statusTime":1`, false},
		"names in capitals":         {`"Status":"sent","StatusTime":1`, false},
		"names of another spelling": {`"status":"sent","statustime":1`, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Parse([]byte(with(body(t), tt.members)), testRules())
			if err != nil || e.Notice != tt.want {
				t.Errorf("Notice = %v, %v, want %v", e.Notice, err, tt.want)
			}
		})
	}
}
