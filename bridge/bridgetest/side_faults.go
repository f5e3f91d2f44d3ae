package bridgetest

import (
	"context"
	"errors"
	"fmt"

	"chatrelay/bridge"
)

func failedCommits(w *sideWorld) error {
	const n = 100
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	w.add("out", 0, n)
	if err := w.inject("in", 0, n); err != nil {
		return err
	}
	for i := range 4 {
		if err := w.m.Await("progress", func(s Sum) bool { return s.Taken+s.Deliveries[Settled] >= i*n/4 }); err != nil {
			return err
		}
		before := w.m.Sum().Fails
		w.m.Fail(errors.New("disk full"))
		err := w.m.Await("something fails", func(s Sum) bool { return s.Fails > before || AllClosed(s) && s.Taken >= n })
		if err != nil {
			return err
		}
		w.m.Fail(nil)
	}
	if err := w.taken(n); err != nil {
		return err
	}
	if err := w.m.Await("all closed", AllClosed); err != nil {
		return err
	}
	got, err := w.Hear(n)
	if err != nil {
		return err
	}
	if err := w.exactly("out", "out", n, got); err != nil {
		return err
	}
	return w.exactly("in", "in", n, w.takenBodies())
}

func sideDown(w *sideWorld) error {
	w.Refuse(true)
	w.Cut()
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(false); err != nil {
		return err
	}
	ref := w.add("out", 0, 1)[0]
	handed := func(s Sum) bool { return s.Deliveries[HandedOut] == 1 }
	if err := w.m.Await("the delivery is with Send", handed); err != nil {
		return err
	}
	l := w.run
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	extra := bridge.Outbound{Ref: ref, Kind: w.Kind, From: w.From, To: w.To, Body: []byte(w.body("out", 0))}
	if err := w.stop(); err != nil { // Send must return
		return err
	}
	if err := l.Send(ctx, extra); !errors.Is(err, bridge.ErrDown) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("after the end Send said: %v", err)
	}
	if state, _ := w.m.Delivery(ref); state == Bound || state == Settled {
		return fmt.Errorf("a delivery was %s although nobody was there", state)
	}
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(false); err != nil {
		return err
	}
	if err := w.run.Send(ctx, extra); !errors.Is(err, context.Canceled) && !errors.Is(err, bridge.ErrDown) {
		return fmt.Errorf("with an ended context Send said: %v", err)
	}
	w.Refuse(false)
	if err := w.up(true); err != nil {
		return err
	}
	if err := w.m.Await("all closed", AllClosed); err != nil {
		return err
	}
	got, err := w.Hear(1)
	if err != nil {
		return err
	}
	return w.exactly("out", "out", 1, got)
}

func serverBack(w *sideWorld) error {
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	if err := w.inject("in", 0, 5); err != nil {
		return err
	}
	if err := w.m.Await("5 acknowledged", func(s Sum) bool { return s.Acked >= 5 }); err != nil {
		return err // what the side has not heard of the server brings again
	}
	if err := w.Stop(); err != nil {
		return err
	}
	if err := w.up(false); err != nil {
		return err
	}
	w.add("out", 0, 5)
	if err := w.m.Await("a delivery waits in Send", func(s Sum) bool { return s.Deliveries[HandedOut] == 1 }); err != nil {
		return err
	}
	if s := w.m.Sum(); s.Deliveries[Settled] > 0 {
		return fmt.Errorf("%d deliveries closed without a server", s.Deliveries[Settled])
	}
	if err := w.Start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	if err := w.inject("in", 5, 5); err != nil {
		return err
	}
	if err := w.taken(10); err != nil {
		return err
	}
	if err := w.m.Await("all closed", AllClosed); err != nil {
		return err
	}
	got, err := w.Hear(5)
	if err != nil {
		return err
	}
	if err := w.exactly("out", "out", 5, got); err != nil {
		return err
	}
	return w.exactly("in", "in", 10, w.takenBodies())
}

// sideLeaves holds commits, so that deliveries are on their way when the end comes.
func sideLeaves(w *sideWorld) error {
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	l := w.run
	w.m.Hold(true)
	w.add("out", 0, 40)
	if err := w.m.Await("some deliveries are on their way", func(s Sum) bool { return s.Uncommitted >= 2 }); err != nil {
		return err
	}
	downs, n := w.m.Sum().Downs, 40
	l.cancel()
	if err := poll(w.m.waitLimit(), "Send never says ErrDown while leaving", func() bool {
		if w.m.Sum().Deliveries[Waiting] == 0 { // its window may be wide
			w.add("out", n, 1)
			n++
		}
		return w.m.Sum().Downs > downs
	}); err != nil {
		return err
	}
	select {
	case <-l.ran:
		return errors.New("it left without waiting for what was bound")
	default:
	}
	w.m.Hold(false)
	if err := w.stop(); err != nil {
		return err
	}
	if err := w.m.Await("what was bound is closed", func(s Sum) bool { return s.Queued == 0 }); err != nil {
		return err
	}
	s := w.m.Sum()
	if s.Deliveries[Bound] > 0 || s.Deliveries[Settled] == 0 {
		return fmt.Errorf("left with %v", s.Deliveries)
	}
	if err := w.start(); err != nil { // the rest goes in the next run
		return err
	}
	if err := w.m.Await("all closed", AllClosed); err != nil {
		return err
	}
	got, err := w.Hear(n)
	if err != nil {
		return err
	}
	return w.exactly("out", "out", n, got)
}
