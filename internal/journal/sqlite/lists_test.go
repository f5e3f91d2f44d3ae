package sqlite

import (
	"context"
	"errors"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// TestListsKeepNobodyWaiting: however long those who look take, bodies are read beside them.
func TestListsKeepNobodyWaiting(t *testing.T) {
	b := openTables(t, t.TempDir())
	p, err := b.Load(func(at, _ int64) int64 { return at })
	must(t, err)
	must(t, saveNow(b, p, p.Apply(picture.Head{N: 1, At: 1, Ran: 1}, []picture.Fact{&picture.Took{ID: 1, Origin: bridge.XMPP, From: "1001", Body: []byte("x"),
		Deliveries: []bridge.Delivery{{Side: bridge.MQTT, Kind: bridge.KindInbox, To: "1002", Lane: "l"}}}}), 0))
	first, err := b.View().List(t.Context(), Filter{})
	if err != nil || len(first) != 1 {
		t.Fatalf("%v, %v", first, err)
	}
	held, err := b.reader.lists.Conn(t.Context()) // as by a list that goes through a long journal
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if found, err := b.View().List(ctx, Filter{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second list does not wait for the first: %v, %v", found, err)
	}
	for range 2 * bodyReaders { // none of the lists took their connections
		if _, body, err := b.View().Show(t.Context(), first[0].Ref.Msg); err != nil || len(body) == 0 {
			t.Errorf("%q, %v", body, err)
		}
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := b.View().List(t.Context(), Filter{}); len(found) != 1 || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}
