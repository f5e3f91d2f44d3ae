package journal

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
)

// What dead letters are reckoned to take is what they take in the file.
func TestDeadLettersTakeWhatTheyAreReckoned(t *testing.T) {
	for name, why := range map[string]*bridge.Refusal{
		"short": bridge.Refuse("gone", "nobody"),
		"usual": bridge.Refuse("no_right", "the broker does not let the relay publish to this inbox: give it the right (README, access control)"),
		"long":  bridge.Refuse("gave_up", "it could not be delivered for 24 hours: %s", strings.Repeat("connection <refused> ", 20)),
	} {
		for _, copies := range []int{1, 400} {
			if copies == 1 && name == "long" {
				continue // what a retry is answered holds the reason too, for as long as the key is known
			}
			t.Run(fmt.Sprint(name, copies), func(t *testing.T) {
				o := options(t.TempDir())
				o.Notices = bridge.Notices{}
				b := openTest(t, o)
				used := func() int64 {
					b.follow()
					bytes, _, err := b.tables.Used()
					must(t, err)
					return bytes
				}
				before := used()
				var members []string
				for i := range copies {
					members = append(members, fmt.Sprintf("landline.%05d", i))
				}
				var recs []*bridge.Record
				for m := range 400 / copies {
					recs = append(recs, group("1001", fmt.Sprintf("a message of some length, as people write them, %d", m), members...))
				}
				b.append(recs...)
				var results []bridge.Result
				for range 400 {
					results = append(results, bridge.Result{Ref: b.next(bridge.MQTT).Ref, Err: why})
				}
				b.Settle(results...)
				took := used() - before
				n, reckoned := b.DeadLetters()
				if n != 400 || reckoned < took*85/100 || reckoned > took*16/10 {
					t.Errorf("%d dead letters take %d bytes in the file and are reckoned as %d", n, took, reckoned)
				}
				b = b.reopen(o)
				if _, again := b.DeadLetters(); again != reckoned {
					t.Errorf("they are reckoned as %d, and after a start as %d", reckoned, again)
				}
				for f := (Filter{}); ; {
					batch, err := b.DropSome(t.Context(), f)
					if must(t, err); batch.Next == 0 {
						break
					}
					f.After = batch.Next
				}
				if n, left := b.DeadLetters(); n != 0 || left != 0 {
					t.Errorf("%d dead letters of %d bytes are left of none", n, left)
				}
			})
		}
	}
}
