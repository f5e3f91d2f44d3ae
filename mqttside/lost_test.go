package mqttside

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"chatrelay/mqttside/session"
)

// TestLossOf: each way in which a connection ends has a word, however deep the reason lies.
func TestLossOf(t *testing.T) {
	for want, why := range map[string]error{
		"renewed": errRenewed, "silent": session.ErrSilent, "journal": session.ErrJournal, "ended": session.Ended{Code: 0x8b}, "protocol": session.Breach("x"),
		"closed": io.EOF, "reset": syscall.ECONNRESET, "other": errors.New("x"),
	} {
		if got := lossOf(fmt.Errorf("mqtt: %w", why)); got != want {
			t.Errorf("%v is %s, want %s", why, got, want)
		}
	}
}
