package journal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
)

// A message of a fifth of the limit, the largest one that a configuration may allow, is taken again and again, beside as many dead
// letters as there may be.
func TestLargestMessage(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes, o.Sync, o.Notices = 4<<20, "os", bridge.Notices{}
	b := openTest(t, o)
	for n := 0; ; n++ {
		r := direct(bridge.XMPP, fmt.Sprint("1", n), "1001", strings.Repeat("d", 20_000))
		b.want(r, bridge.OutcomeTaken)
		b.bury(b.next(bridge.MQTT).Ref, bridge.Refuse("no", "nobody"))
		if _, bytes := b.DeadLetters(); bytes > o.MaxBytes/deadShare-30_000 {
			break
		}
	}
	for n := range 2 {
		r := direct(bridge.XMPP, "1001", "1002", fmt.Sprint(n, strings.Repeat("x", int(o.MaxBytes/5)-1)))
		patient(t, "it is taken", func() bool {
			if b.append(r); r.Outcome != bridge.OutcomeTaken {
				<-time.After(50 * time.Millisecond) // so a wire brings it again
			}
			return r.Outcome == bridge.OutcomeTaken
		})
		b.settle(b.next(bridge.MQTT).Ref)
	}
	b.sum()
}
