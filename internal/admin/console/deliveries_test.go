package console

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDeliveries: page after page gives each one once, in order.
func TestDeliveries(t *testing.T) {
	k := newKit(t)
	k.dead, k.waiting = letters(1201), []Delivery{{Seq: 1, Ref: "7.0", State: "bound"}}
	c := k.login(readerToken)
	var refs []string
	for after, pages := "", 0; ; pages++ {
		got := readAnswer(t, k.as(c, "api/deliveries?state=dead&limit=500&after="+after, ""))
		for _, d := range got["deliveries"].([]any) {
			refs = append(refs, d.(map[string]any)["ref"].(string))
			after = d.(map[string]any)["seq"].(string)
		}
		if got["more"] == false {
			break
		}
		if pages > 3 {
			t.Fatal("it does not end")
		}
	}
	if len(refs) != 1201 || refs[0] != "1.0" || refs[1200] != "1201.0" || !slices.IsSortedFunc(refs, func(a, b string) int { return len(a) - len(b) }) {
		t.Errorf("%d deliveries, %s to %s", len(refs), refs[0], refs[len(refs)-1])
	}
	if got := readAnswer(t, k.as(c, "api/deliveries?state=waiting&limit=1", "")); fmt.Sprint(got["more"], len(got["deliveries"].([]any))) != "false 1" {
		t.Errorf("waiting: %v", got)
	}
	if got := readAnswer(t, k.as(c, "api/deliveries?state=dead&limit=9&to=nobody", "")); fmt.Sprint(got["deliveries"]) != "[]" {
		t.Errorf("none: %v", got)
	}
	for _, q := range []string{"", "?state=dead", "?state=dead&limit=0", "?state=dead&limit=501", "?state=all&limit=1", "?state=dead&limit=1&older=soon", "?state=dead&limit=1&after=x",
		"?state=dead&limit=1&older=-1h", "?state=dead&limit=1&to=" + strings.Repeat("x", 257)} {
		if res := k.as(c, "api/deliveries"+q, ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", q, res.StatusCode)
		}
	}
	k.err = errors.New("disk")
	if res := k.as(c, "api/deliveries?state=dead&limit=1", ""); res.StatusCode != 503 || readAnswer(t, res)["text"] != "disk" {
		t.Errorf("a journal that does not answer: %d", res.StatusCode)
	}
}

// TestCountDead: how many there are, by reason, up to where counting ends.
func TestCountDead(t *testing.T) {
	k := newKit(t)
	c := k.login(readerToken)
	for name, tt := range map[string]struct {
		letters int
		query   string
		want    string
	}{
		"none":           {0, "", "map[count:0 more:false reasons:map[]]"},
		"some":           {5, "", "map[count:5 more:false reasons:map[gave_up:2 too_large:3]]"},
		"of one reason":  {5, "?reason=gave_up", "map[count:2 more:false reasons:map[gave_up:2]]"},
		"just one batch": {countAtOnce, "", "map[count:2000 more:false reasons:map[gave_up:1000 too_large:1000]]"},
		"too many":       {mostCounted + 1, "", "map[count:20000 more:true reasons:map[gave_up:10000 too_large:10000]]"},
	} {
		k.dead = letters(tt.letters)
		if got := fmt.Sprint(readAnswer(t, k.as(c, "api/dead/count"+tt.query, ""))); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if res := k.as(c, "api/dead/count?older=soon", ""); res.StatusCode != 400 {
		t.Errorf("a bad filter: %d", res.StatusCode)
	}
}

// TestChange: exactly one way says which are meant.
func TestChange(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		err  error
		code int
		done string
		want string // of the answer
	}{
		"one":              {`{"refs":["3.0"]}`, nil, 200, "[drop 3.0]", "changed:1"},
		"some":             {`{"refs":["3.0","4.1"]}`, nil, 200, "[drop 3.0 drop 4.1]", "changed:2"},
		"one that is gone": {`{"refs":["404.0","4.1"]}`, nil, 200, "[drop 4.1]", "changed:1"},
		"by filter":        {`{"pick":{"reason":"gave_up","to":"1001","sender":"1002","older":"36h"}}`, nil, 200, "[drop older=36h0m0s&reason=gave_up&sender=1002&to=1001]", "next:300"},
		"the next batch":   {`{"pick":{"reason":"gave_up"},"after":"300"}`, nil, 200, "[drop after=300&reason=gave_up]", "changed:7"},
		"all":              {`{"all":true,"after":"0"}`, nil, 200, "[drop all=true]", "changed:7"},
		"all, next batch":  {`{"all":true,"after":"9"}`, nil, 200, "[drop after=9&all=true]", "changed:7"},
		"nothing":          {`{}`, nil, 400, "[]", ""},
		"none":             {`{"refs":[]}`, nil, 400, "[]", ""},
		"an empty filter":  {`{"pick":{}}`, nil, 400, "[]", ""},
		"an empty value":   {`{"pick":{"reason":""}}`, nil, 400, "[]", ""},
		"not all":          {`{"all":false}`, nil, 400, "[]", ""},
		"refs and all":     {`{"refs":["3.0"],"all":true}`, nil, 400, "[]", ""},
		"filter and all":   {`{"pick":{"reason":"x"},"all":true}`, nil, 400, "[]", ""},
		"refs and filter":  {`{"refs":["3.0"],"pick":{"reason":"x"}}`, nil, 400, "[]", ""},
		"no such filter":   {`{"pick":{"reson":"x"}}`, nil, 400, "[]", ""},
		"no such field":    {`{"ref":"3.0","all":true}`, nil, 400, "[]", ""},
		"no number":        {`{"refs":["3.0","x"]}`, nil, 400, "[]", ""},
		"after what":       {`{"all":true,"after":"x"}`, nil, 400, "[]", ""},
		"too long":         {`{"refs":["3.0"` + strings.Repeat(`,"3.0"`, 700) + `]}`, nil, 400, "[]", ""},
		"the disk":         {`{"refs":["3.0"]}`, errors.New("disk"), 503, "[drop 3.0]", ""},
	} {
		k := newKit(t)
		k.err = tt.err
		res := k.as(k.login(operatorToken), "api/dead/drop", tt.body)
		if got := readAnswer(t, res); res.StatusCode != tt.code || fmt.Sprint(k.done) != tt.done || !strings.Contains(fmt.Sprint(got), tt.want) {
			t.Errorf("%s: %d %v, done %q; want %d, %s", name, res.StatusCode, got, k.done, tt.code, tt.done)
		}
		if logged := strings.Contains(k.log.String(), "dead letters changed in the console"); logged != (tt.code == 200) {
			t.Errorf("%s: the log says %s", name, k.log.String())
		}
	}
}

// TestOneLookAtATime: those who look wait for each other, for so long and no longer.
func TestOneLookAtATime(t *testing.T) {
	k := newKit(t)
	k.dead = letters(3)
	c := k.login(readerToken)
	k.c.reading <- struct{}{} // somebody looks
	got := make(chan int, 2)
	for _, path := range []string{"api/deliveries?state=dead&limit=1", "api/dead/count"} {
		go func() { got <- k.as(c, path, "").StatusCode }()
	}
	select {
	case code := <-got:
		t.Errorf("%d, beside another one", code)
	case <-time.After(50 * time.Millisecond):
	}
	<-k.c.reading
	for range 2 {
		if code := <-got; code != 200 {
			t.Errorf("%d", code)
		}
	}
}

// TestTrace: what is asked for, and what is not.
func TestTrace(t *testing.T) {
	k := newKit(t)
	c := k.login(readerToken)
	got := readAnswer(t, k.as(c, "api/trace?q=1001&since=2h", ""))
	if !strings.Contains(fmt.Sprint(got), "message:7") || k.asked.Text != "1001" || !k.asked.Since.Equal(k.now.Add(-2*time.Hour)) || k.asked.Limit != 20 {
		t.Errorf("%v for %+v", got, k.asked)
	}
	if readAnswer(t, k.as(c, "api/trace?q=1001&until=2001-09-08T14:05:00.000Z", "")); k.asked.Until.Unix() != 999957900 {
		t.Errorf("until %v", k.asked.Until)
	}
	for _, q := range []string{"", "?q=", "?q=x&since=soon", "?q=x&since=-1h", "?q=x&until=soon", "?q=x&since=1h&until=2h", "?q=" + strings.Repeat("x", 257)} {
		if res := k.as(c, "api/trace"+q, ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", q, res.StatusCode)
		}
	}
	k.err = errors.New("disk")
	if res := k.as(c, "api/trace?q=x", ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", res.StatusCode)
	}
	if res := k.as(nil, "api/trace?q=x", ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %d", res.StatusCode)
	}
}
