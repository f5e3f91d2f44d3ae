package mqttside

import (
	"context"
	"errors"
	"fmt"
)

// listener is a side login that stays: what the relay's own connection says it hears, and the other way round. With
// the bridge bit a broker does not bring us what we publish ourselves.
type listener struct{ *sideConnection }

var (
	errListener = errors.New("the second login has ended")
	errHungUp   = errors.New("the broker has closed it") // with errListener
)

// listen subscribes on a fresh side login and keeps it open until close; it takes over the talk.
func listen(t *sideConnection, filter string) (*listener, error) {
	t.listening.Store(true)
	err := t.subscribe(filter)
	if err == nil && !t.stop() {
		err = t.conn.Reason()
	}
	if err != nil {
		t.end()
		return nil, err
	}
	return &listener{t}, nil
}

func (l *listener) say(topic string, payload []byte) error {
	return l.ended(l.conn.Publish(topic, payload, false))
}

func (l *listener) fence(ctx context.Context) error { return l.ended(l.conn.Fence(ctx)) }

// ended says how the connection ended, if it did: our own timeouts are not the broker's doing.
func (l *listener) ended(err error) error {
	switch {
	case err == nil || l.alive():
		return err
	case l.conn.Lost():
		return fmt.Errorf("%w: %w: %w", errListener, errHungUp, err)
	}
	return fmt.Errorf("%w: %w", errListener, err)
}

func (l *listener) alive() bool { return l.conn.Reason() == nil }

// close says goodbye and waits for the goroutines.
func (l *listener) close() { l.end() }

// drop closes a connection that may be dead.
func (l *listener) drop() {
	l.conn.Close(errListener)
	l.conn.Join()
}
