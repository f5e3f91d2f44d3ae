package e2e

import (
	"testing"

	"chatrelay/test/stage"
)

// TestBacklog offers more than the relay's memory holds while XMPP is away. It is not killed, takes no more than
// fits, starts again in the same memory, and all that was offered arrives. (test/chaos has the million.)
func TestBacklog(t *testing.T) {
	stage.NewBacklog(t, binary, 50_000, 96<<20).Run(t.Context())
}
