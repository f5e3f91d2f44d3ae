// Package dial makes the TCP connections of both sides.
package dial

import (
	"context"
	"net"
	"sync"
	"time"
)

const again = 250 * time.Millisecond // without an answer; doubles

// outcome is how an attempt ended.
type outcome struct {
	conn net.Conn
	err  error
}

// TCP connects to address (host:port) until ctx ends; the kernel gives the connection up when the peer has
// acknowledged nothing for silence. Go sets TCP_NODELAY.
//
// When there is no answer, another attempt is made beside the one that waits, after 250 ms, 500 ms, 1 s and so on:
// a server to which all return at once (ejabberd takes 5 at a time) drops what it has no room for, and the kernel
// asks again only after 1, 3 and 7 s. The attempt that ends first, well or not, decides; the others are closed, and have
// ended when TCP returns.
func TCP(ctx context.Context, address string, silence time.Duration) (net.Conn, error) {
	d := net.Dialer{ControlContext: userTimeout(silence),
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	ctx, cancel := context.WithCancel(ctx)
	outcomes, decided := make(chan outcome), make(chan struct{})
	var attempts sync.WaitGroup
	defer attempts.Wait()
	defer close(decided)
	defer cancel() // ends them
	attempt := func() {
		conn, err := d.DialContext(ctx, "tcp", address)
		select {
		case outcomes <- outcome{conn, err}:
		case <-decided:
			if err == nil {
				_ = conn.Close() // never used
			}
		}
	}
	for wait := again; ; wait *= 2 {
		attempts.Go(attempt)
		timer := time.NewTimer(wait)
		select {
		case first := <-outcomes:
			timer.Stop()
			return first.conn, first.err
		case <-timer.C:
		}
	}
}
