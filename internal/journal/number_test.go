package journal

import (
	"testing"
	"time"

	"chatrelay/bridge"
)

// A copy of the folder that is brought back gives nothing a number, or an id, that another message had since the
// copy was made, whatever was done with the original: restarts, and many messages.
func TestRestoredCopy(t *testing.T) {
	c := newClock()
	o := options(t.TempDir())
	o.Clock, o.Notices = c.Now, bridge.Notices{}
	numbers, ids := map[uint64]bool{}, map[string]bool{}
	take := func(b *testJournal, n int) (refs []bridge.Ref) {
		t.Helper()
		for range n {
			r := direct(bridge.XMPP, "1001", "1002", "no identity")
			var id string
			r.ID, id = b.NewID()
			r.Keys[0] = key(id)
			b.want(r, bridge.OutcomeTaken)
			refs = append(refs, b.next(bridge.MQTT).Ref)
			got := refs[len(refs)-1].Msg
			if numbers[got] || ids[id] {
				t.Fatalf("number %d, or id %s, was another message's", got, id)
			}
			numbers[got], ids[id] = true, true
		}
		return refs
	}
	b := openTest(t, o)
	refs := take(b, 20)
	saved := o
	saved.Dir = copyFolder(t, o.Dir)
	b.settle(refs...)
	for range 3 {
		c.add(time.Millisecond)
		b = b.reopen(o)
		b.settle(take(b, 20)...)
		for range leaseStep {
			b.NewID()
		}
	}
	b.end()
	c.add(time.Second) // 64,000 numbers
	b = openTest(t, saved)
	for range 20 { // they were pending when the copy was made, and have their old numbers
		if o := b.next(bridge.MQTT); !numbers[o.Ref.Msg] {
			t.Errorf("%v was not among the first", o.Ref)
		}
	}
	take(b, 40)
}

func TestFirstNumber(t *testing.T) {
	for name, c := range map[string]struct {
		lease uint64
		now   int64
		want  uint64
	}{
		"by the clock":           {1, 1_800_000_000_000, 1_800_000_000_000 * 64},
		"a clock set back":       {2_000_000_000_000 * 64, 1_800_000_000_000, 2_000_000_000_000 * 64},
		"a machine without one":  {10_001, 0, 10_001},
		"before the epoch":       {10_001, -5, 10_001},
		"the end of the numbers": {10_001, numberEnd / perMS, 10_001},
		"just before it":         {10_001, numberEnd/perMS - 1, numberEnd - perMS},
	} {
		if got := firstNumber(c.lease, c.now); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
