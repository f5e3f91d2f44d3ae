package bridge

import (
	"fmt"
	"testing"
	"time"
)

// A sender whom the wire has proven may send so many a second, and five seconds' worth at once.
func TestRates(t *testing.T) {
	c := newClock()
	r := newRates(2, c.now)
	allowed := func(in Inbound, n int) (ok int) {
		for range n {
			if r.allow(&in) {
				ok++
			}
		}
		return ok
	}
	if got := allowed(Inbound{From: "1001"}, 30); got != 10 {
		t.Errorf("%d at once", got)
	}
	if got := allowed(Inbound{From: "1002"}, 30); got != 10 {
		t.Errorf("%d of another", got)
	}
	c.add(3 * time.Second)
	if got := allowed(Inbound{From: "1001"}, 30); got != 6 {
		t.Errorf("%d after 3 s", got)
	}
	for name, in := range map[string]Inbound{"not proven": {}, "a backend's": {From: "1001", Trusted: true}, "again": {From: "1001", Redelivered: true}} {
		if got := allowed(in, 30); got != 30 {
			t.Errorf("%s: %d", name, got)
		}
	}
	c.add(time.Minute)
	for i := range mostRates + 10 {
		allowed(Inbound{From: fmt.Sprint(i)}, 1)
	}
	if len(r.of) > mostRates || len(r.of) < 10 {
		t.Errorf("%d are told apart", len(r.of))
	}
	if newRates(0, c.now).allow(&Inbound{From: "1"}) != true {
		t.Error("no limit")
	}
}

// Who may not talk is told so, in a direct message and in a room; who sends too fast, too.
func TestJudgeDenies(t *testing.T) {
	c := newClock()
	for name, tt := range map[string]struct {
		side SideID
		body []byte
		from string
		to   string // of the inbox
		want string
	}{
		"direct by XMPP":  {XMPP, envelope(nil), "1001", "", "denied"},
		"direct by MQTT":  {MQTT, envelope(fields{"to": nil}), "", "1002", "denied"},
		"the other way":   {XMPP, envelope(fields{"from": "1002", "to": "1001"}), "1002", "", ""},
		"to the room":     {XMPP, grouped(nil), "1001", "", "denied"},
		"another to it":   {XMPP, grouped(fields{"from": "1002"}), "1002", "", ""},
		"a bad recipient": {XMPP, envelope(fields{"to": nil}), "1001", "", "bad_to"},
		"a forged sender": {XMPP, envelope(nil), "1002", "", "from_mismatch"},
	} {
		j := newJudge(tt.side, c.now)
		j.may = func(from, to string) bool { return from != "1001" || to != "1002" && to != room && to != "" }
		_, why := j.record(&Inbound{Body: tt.body, From: tt.from, To: tt.to, Reply: ReplyTo{Sender: "x"}})
		if got := reasonIn(why); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	j := newJudge(XMPP, c.now)
	j.rates = newRates(1, c.now)
	for i := range 7 {
		want := ""
		if i >= atOnce {
			want = "rate"
		}
		rec, why := j.record(&Inbound{Body: envelope(fields{"timeStamp": i}), From: "1001", Reply: ReplyTo{Sender: "x"}})
		if got := reasonIn(why); got != want || want != "" && len(rec.Keys) > 0 {
			t.Errorf("%d: %q, want %q; keys %v", i, got, want, rec.Keys)
		}
	}
}

func reasonIn(why *Refusal) string {
	if why == nil {
		return ""
	}
	return why.Reason
}
