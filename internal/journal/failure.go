package journal

import (
	"strings"

	"chatrelay/internal/journal/picture"
)

// Of stanza errors about messages that were taken none is dropped, but a sender gets at most one in failurePace: what
// fails by the thousand must not become a flood, which servers answer by slowing the whole stream down. So they have a
// lane of their own, whose pace holds up nothing else, and wait there as any other delivery does.
const (
	failurePace    = 100 // ms
	retriesWaiting = 10
)

func paceOf(lane string) int64 {
	if strings.HasPrefix(lane, picture.FailureLane) {
		return failurePace
	}
	return 0
}
