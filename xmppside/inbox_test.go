package xmppside

import (
	"context"
	"net"
	"testing"
	"time"

	"chatrelay/xmppside/sm"
)

// What comes later, without end, does not keep one waiting who asks for what came before.
func TestSettled(t *testing.T) {
	b := unit(t).inbox
	near, far := net.Pipe()
	t.Cleanup(func() { _ = far.Close() })
	l := sm.New(sm.Config{}, sm.State{}).Connection(near)
	t.Cleanup(l.Close)
	push := func() *item {
		b.push(item{c: &connection{l: l}})
		it := <-b.queue
		return &it
	}
	soon := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return b.settled(ctx)
	}
	if err := soon(); err != nil {
		t.Errorf("with nothing open: %v", err)
	}
	first, second := push(), push()
	if soon() == nil {
		t.Error("two are open")
	}
	later := push()
	b.settle(second, nil)
	if soon() == nil {
		t.Error("the first is open")
	}
	end := make(chan error)
	go func() { end <- b.settled(t.Context()) }()
	for b.periods() < 4 {
		time.Sleep(time.Millisecond)
	}
	last := push()
	b.settle(later, nil)
	b.settle(first, nil)
	if err := <-end; err != nil {
		t.Error(err)
	}
	b.settle(last, nil)
	if err := soon(); err != nil {
		t.Errorf("with all settled: %v", err)
	}
}

// periods counts the waits that have begun.
func (b *inbox) periods() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.period
}
