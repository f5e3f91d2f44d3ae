// Package clients has the chat clients that the end-to-end tests, the fault suite and the bench talk with: an
// MQTT 3.1.1 client that is exactly-once at QoS 2 in both directions, and an XMPP client that hides
// nothing of the wire. Both reconnect by themselves. They share no code with the relay, so that a
// mistake there cannot hide here.
//
// They are for loopback: no TLS, XMPP logins by SASL PLAIN.
package clients

import (
	"context"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	synTimeout  = 300 * time.Millisecond // loopback answers at once, or has no room and is asked by the kernel only after 1 s, 2 s, 4 s
	retryPause  = 100 * time.Millisecond
)

// keep runs one connection after the other until ctx ends.
func keep(ctx context.Context, live func(context.Context) error) {
	for ctx.Err() == nil {
		_ = live(ctx) // it is tried again, whatever it was
		pause := time.NewTimer(retryPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}
