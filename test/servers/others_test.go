package servers

import (
	"net"
	"strings"
	"testing"
	"time"
)

// TestNATS: it comes back on its port after SIGKILL.
func TestNATS(t *testing.T) {
	t.Parallel()
	n := NewNATS(t)
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := answersMQTT(soon(t), n.Addr); err == nil {
		t.Error("it answers although it was killed")
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := answersMQTT(soon(t), n.Addr); err != nil {
		t.Error(err)
	}
}

// TestRabbitMQ: its epmd ends with it.
func TestRabbitMQ(t *testing.T) {
	t.Parallel()
	r := NewRabbitMQ(t)
	epmd := ""
	for _, v := range r.cmd.env {
		if port, ok := strings.CutPrefix(v, "ERL_EPMD_PORT="); ok {
			epmd = net.JoinHostPort("127.0.0.1", port)
		}
	}
	if err := listens(soon(t), epmd); err != nil {
		t.Fatalf("no epmd at %q: %v", epmd, err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	for ctx := soon(t); listens(ctx, epmd) == nil; { // it has been sent the signal
		time.Sleep(10 * time.Millisecond)
	}
	if listens(soon(t), epmd) == nil {
		t.Error("epmd is still there")
	}
}
