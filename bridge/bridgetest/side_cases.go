package bridgetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"chatrelay/bridge"
)

func takesOnce(w *sideWorld) error {
	const n = 50
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	if err := w.inject("in", 0, n); err != nil {
		return err
	}
	if err := w.taken(n); err != nil {
		return err
	}
	for _, in := range w.m.Taken() {
		if in.Ignored != "" || in.Refused != nil || in.Redelivered || in.Ack == nil {
			return fmt.Errorf("a plain message was offered as %+v", in)
		}
	}
	// What was acknowledged does not come again, to this run or the next.
	if err := w.restart(); err != nil {
		return err
	}
	if err := w.inject("in", n, 1); err != nil {
		return err
	}
	if err := w.taken(n + 1); err != nil {
		return err
	}
	return w.exactly("in", "in", n+1, w.takenBodies())
}

func failedOffer(w *sideWorld) error {
	var failed sync.WaitGroup
	failed.Add(1)
	once := sync.OnceFunc(failed.Done)
	w.m.Judge(func(bridge.Inbound) error { once(); return errors.New("this journal is broken") })
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	if err := w.inject("in", 0, 10); err != nil {
		return err
	}
	failed.Wait()
	w.m.Judge(nil)
	if err := w.taken(10); err != nil {
		return err
	}
	return w.exactly("in", "in", 10, w.takenBodies())
}

func refusedOffer(w *sideWorld) error {
	w.m.Judge(func(bridge.Inbound) error { return bridge.Refuse("bad_envelope", "it is not for us") })
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	if err := w.inject("in", 0, 10); err != nil {
		return err
	}
	if err := w.taken(10); err != nil {
		return err
	}
	w.m.Judge(nil)
	if err := w.restart(); err != nil {
		return err
	}
	if err := w.inject("in", 10, 1); err != nil {
		return err
	}
	if err := w.taken(11); err != nil {
		return err
	}
	return w.exactly("in", "in", 11, w.takenBodies())
}

// fullOffer turns messages away for a while. Messages still go out meanwhile, over a connection that is up.
func fullOffer(w *sideWorld) error {
	turned := make(chan struct{}, 1000)
	w.m.Judge(func(bridge.Inbound) error {
		select {
		case turned <- struct{}{}:
		default:
		}
		return bridge.ErrFull
	})
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	if err := w.inject("in", 0, 10); err != nil {
		return err
	}
	if w.Redelivers {
		<-turned
	} else {
		for range 10 {
			<-turned
		}
	}
	w.add("out", 0, 10)
	if err := w.m.Await("messages goes out of a full journal", AllClosed); err != nil {
		return err
	}
	if got := w.m.Sum().Taken; got != 0 {
		return fmt.Errorf("%d taken although the journal is full", got)
	}
	w.m.Judge(nil)
	if !w.Redelivers {
		if err := w.inject("later", 0, 1); err != nil {
			return err
		}
		if err := w.taken(1); err != nil {
			return err
		}
		return w.exactly("in", "later", 1, w.takenBodies())
	}
	if err := w.taken(10); err != nil {
		return err
	}
	return w.exactly("in", "in", 10, w.takenBodies())
}

// heldFor is how long a side has to go wrong while the journal commits nothing: long, as the machine may be busy.
const heldFor = 250 * time.Millisecond

// sendsOnce lets commits take long: a side that does not wait for them is heard before its delivery is bound.
func sendsOnce(w *sideWorld) error {
	const n = 30
	w.m.Delay(20 * time.Millisecond)
	if err := w.start(); err != nil {
		return err
	}
	w.m.Hold(true)
	refs := w.add("out", 0, n)
	if err := w.m.Await("one is bound", func(s Sum) bool { return s.Uncommitted > 0 }); err != nil {
		return err
	}
	time.Sleep(heldFor)
	if got, err := w.Hear(0); err != nil {
		return err
	} else if len(got) > 0 {
		return fmt.Errorf("%d were heard before the journal had committed anything", len(got))
	}
	w.m.Hold(false)
	for i, ref := range refs {
		if _, err := w.Hear(i + 1); err != nil {
			return err
		}
		if state, _ := w.m.Delivery(ref); state != Bound && state != Settled {
			return fmt.Errorf("delivery %d was heard while it was %s: it must be bound first", i, state)
		}
	}
	if err := w.m.Await("all closed", AllClosed); err != nil {
		return err
	}
	for _, ref := range refs {
		if _, err := w.m.Delivery(ref); err != nil {
			return fmt.Errorf("closed with %w", err)
		}
	}
	got, err := w.Hear(n)
	if err != nil {
		return err
	}
	return w.exactly("out", "out", n, got)
}

func deadDelivery(w *sideWorld) error {
	if err := w.start(); err != nil {
		return err
	}
	bad := w.m.Add(w.Kind, w.From, "no/landline+ #\x00", w.body("bad", 0))
	w.add("out", 0, 1)
	if err := w.m.Await("all closed", AllClosed); err != nil {
		return err
	}
	_, err := w.m.Delivery(bad)
	if why := (*bridge.Refusal)(nil); !errors.As(err, &why) {
		return fmt.Errorf("a delivery for no landline was closed with %v: want a Refusal", err)
	}
	got, err := w.Hear(1)
	if err != nil {
		return err
	}
	return w.exactly("out", "out", 1, got)
}

// storm sends both ways while connections are cut or the process dies.
func (w *sideWorld) storm(n, faults int, kill bool) error {
	if err := w.start(); err != nil {
		return err
	}
	if err := w.up(true); err != nil {
		return err
	}
	w.add("out", 0, n)
	injected := make(chan error, 1) // the injector's one result
	go func() { injected <- w.inject("in", 0, n) }()
	for i := range faults {
		goal := (2*n*i + rand.N(2*n)) / faults
		if err := w.m.Await("progress", func(s Sum) bool { return s.Taken+s.Deliveries[Settled] >= goal }); err != nil {
			return err
		}
		if err := w.up(true); err != nil { // a fault within a login may cost a counted duplicate
			return err
		}
		if !kill {
			w.Cut()
			continue
		}
		if err := w.kill(); err != nil {
			return err
		}
		if err := w.start(); err != nil {
			return err
		}
	}
	if err := <-injected; err != nil {
		return err
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
	if c := w.m.Counted(bridge.MaybeDuplicate); c > 0 {
		return fmt.Errorf("maybe_duplicate is %d: nothing was lost on the wire", c)
	}
	return w.exactly("in", "in", n, w.takenBodies())
}
