package console

import (
	"fmt"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal"
	"chatrelay/test/stage"
)

const (
	deadLetters = 10_000
	atOnce      = 500
	markup      = `<img src=x onerror="document.title='hacked'">`
)

// Of ten letters six are too_large, three not_reflected and one gave_up.
func reasonOf(i int) string {
	switch {
	case i%10 < 6:
		return "too_large"
	case i%10 < 9:
		return "not_reflected"
	}
	return "gave_up"
}

// withDeadLetters makes a journal as a relay leaves it that could not deliver ten thousand messages to 1002.
func withDeadLetters(t *testing.T, dir string) {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Sync: "os", MaxBytes: 1 << 30, DedupWindow: time.Hour, DedupMaxKeys: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < deadLetters; from += atOnce {
		var recs []*bridge.Record
		for i := from; i < from+atOnce; i++ {
			sender := fmt.Sprint(2000 + i%7)
			body := stage.Envelope{ChatType: 1, Content: fmt.Sprintf("letter %d", i), From: sender, To: "1002", ID: fmt.Sprint("id-", i), TimeStamp: 1_700_000_000_000 + int64(i)}
			recs = append(recs, &bridge.Record{Origin: bridge.XMPP, From: sender, Body: []byte(body.String()),
				Deliveries: []bridge.Delivery{{Side: bridge.MQTT, Kind: bridge.KindInbox, To: "1002", Lane: sender + ">1002"}}})
		}
		if err := j.Append(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
		results := make([]bridge.Result, 0, atOnce)
		for i := range atOnce {
			o, err := j.Next(t.Context(), bridge.MQTT)
			if err != nil {
				t.Fatal(err)
			}
			results = append(results, bridge.Result{Ref: o.Ref, Err: bridge.Refuse(reasonOf(from+i), "The server said: %s", markup)})
		}
		j.Settle(results...)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
