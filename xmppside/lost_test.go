package xmppside

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"chatrelay/xmppside/sm"
)

// TestLossOf: each way in which a connection ends has a word; what a server may write has few.
func TestLossOf(t *testing.T) {
	for want, end := range map[string]sm.End{
		"conflict": {Condition: "conflict"}, "policy": {Condition: "policy-violation"}, "shutdown": {Condition: "system-shutdown", Err: io.EOF},
		"ended": {Condition: "see-other-host-of-mine"}, "silent": {Err: sm.ErrSilent}, "journal": {Err: sm.ErrJournal}, "renewed": {Err: sm.ErrRedo},
		"too_large": {Err: sm.ErrTooLarge}, "protocol": {Err: sm.ErrProtocol}, "closed": {}, "reset": {Err: syscall.EPIPE}, "other": {Err: errors.New("x")},
	} {
		if end.Err != nil {
			end.Err = fmt.Errorf("deep: %w", end.Err)
		}
		if got := lossOf(end); got != want {
			t.Errorf("%+v is %s, want %s", end, got, want)
		}
	}
}
