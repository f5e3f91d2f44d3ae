package journal

import (
	"testing"

	"chatrelay/bridge"
	"chatrelay/test/sqlfault"
)

// The bind of a delivery fails, and that of a later one of its lane comes behind it: killed then, the journal must not have
// the later one alone. It goes behind the first, whose turn it is again.
func TestBindOvertakesNone(t *testing.T) {
	for _, late := range []bool{false, true} { // the later one is bound when the first has failed already, and is out again
		f, name := sqlfault.New(t)
		o := options(t.TempDir())
		o.driver = name
		b := openTest(t, o)
		for _, body := range []string{"a", "b"} {
			b.want(direct(bridge.XMPP, "1001", "1002", body), bridge.OutcomeTaken)
		}
		first, second := b.next(bridge.MQTT), b.next(bridge.MQTT)
		reached, goAhead := lackRoom(t, f, 1, 1)
		failing := b.Bind(first.Ref, []byte("1"))
		<-reached
		var ticket uint64
		if !late {
			ticket = b.Bind(second.Ref, []byte("2"))
		}
		close(goAhead)
		if b.Wait(t.Context(), failing) == nil {
			t.Fatal("the first was bound without room")
		}
		if late {
			if again := b.next(bridge.MQTT); again.Ref != first.Ref {
				t.Fatalf("next is %v", again.Ref)
			}
			ticket = b.Bind(second.Ref, []byte("2"))
		}
		if b.Wait(t.Context(), ticket) == nil {
			t.Error("the second is bound, and the first is not")
		}
		killed := options(copyFolder(t, o.Dir))
		k := openTest(t, killed)
		if got, err := k.Bound(t.Context(), bridge.MQTT); err != nil || len(got) != 0 {
			t.Errorf("late %v: killed then, %v is bound (%v)", late, got, err)
		}
		k.end()
		b.Unbind(second.Ref) // as a wire does, too
		if !late {
			if again := b.next(bridge.MQTT); again.Ref != first.Ref {
				t.Fatalf("next is %v", again.Ref)
			}
		}
		b.bind(first.Ref, "3")
		if again := b.next(bridge.MQTT); again.Ref != second.Ref {
			t.Fatalf("next is %v", again.Ref)
		}
		b.bind(second.Ref, "4")
		if left := b.ready[bridge.MQTT].unbound; len(left) != 0 {
			t.Errorf("remembered: %v", left)
		}
		b.settle(first.Ref, second.Ref)
		b.sum()
	}
}
