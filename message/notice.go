package message

import (
	"strconv"
	"time"
)

// WithNotice makes the notice of a body whose sender is proven: status, reason (left out when empty) and statusTime (ms). It also takes
// bodies that Parse refused with From set. A field of the name is replaced (see addEdit); without a reason, one that the
// sender's own envelope had stays, like any other field of it.
//
// The same arguments always make the same bytes: a packet that is sent again must not differ.
func WithNotice(body []byte, status, reason string, at time.Time) []byte {
	return splice(body, outcome(status, reason, at)...)
}

// outcome is what a notice adds.
func outcome(status, reason string, at time.Time) []change {
	changes := make([]change, 0, 3)
	changes = append(changes, change{"status", quote(status)})
	if reason != "" {
		changes = append(changes, change{"reason", quote(reason)})
	}
	return append(changes, change{"statusTime", strconv.AppendInt(nil, at.UnixMilli(), 10)})
}
