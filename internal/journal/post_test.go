package journal

import (
	"testing"

	"chatrelay/bridge"
)

// What is to be asked before a delivery leaves outlives a restart, its death and a requeue.
func TestPostIsKept(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	r := group("1001", "a", "1002")
	post := bridge.Post{Room: "team", Via: "1003"}
	r.Deliveries[0].Note.Post = &post
	b.want(r, bridge.OutcomeTaken)
	asks := func(when string) bridge.Ref {
		t.Helper()
		x := b.next(bridge.MQTT)
		if x.Kind != bridge.KindCopy || x.Note.Post == nil || *x.Note.Post != post || x.Note.Text != "" {
			t.Fatalf("%s: next is %+v", when, x)
		}
		return x.Ref
	}
	b.Release(asks("at first"))
	b = b.reopen(o)
	ref := asks("after a restart")
	b.bury(ref, bridge.Refuse("not_a_member", "who are you"))
	b.wantNotice("1001", "a|failed|who are you")
	must(t, b.Requeue(t.Context(), ref))
	b.Release(asks("requeued"))
	b = b.reopen(o)
	b.bury(asks("requeued, after a restart"), bridge.Refuse("not_a_member", "still"))
	b.wantNotice("1001", "a|failed|still")
	b = b.reopen(o)
	must(t, b.Requeue(t.Context(), ref)) // read back from the file
	asks("requeued from the file")
}
