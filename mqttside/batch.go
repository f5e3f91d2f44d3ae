package mqttside

import (
	"context"
	"fmt"
	"time"
)

// batch is what the flusher is writing.
type batch struct {
	buf     []byte
	segs    []segment
	due     []uint64 // raised tickets that are not known to be committed
	covered int      // how many are
}

func (b *batch) write(ctx context.Context, w *wire) error {
	rest, segs := b.buf, b.segs
	for len(segs) > 0 {
		if err := b.cover(ctx, w, segs[0]); err != nil {
			return err
		}
		b.ask(w, segs[len(segs)-1].need)
		n := 0
		for len(segs) > 0 && segs[0].need <= b.covered {
			if segs[0].id != 0 {
				w.observer.leaving(segs[0].id)
			}
			n += segs[0].n
			segs = segs[1:]
		}
		if err := w.raw.SetWriteDeadline(time.Now().Add(writeTimeout + lineTime(n))); err != nil {
			return fmt.Errorf("%w: %w", errWrite, err)
		}
		if _, err := w.raw.Write(rest[:n]); err != nil {
			return fmt.Errorf("%w: %w", errWrite, err)
		}
		rest = rest[n:]
		w.wrote(n)
	}
	return nil
}

// cover waits for all commits that the first segment needs.
func (b *batch) cover(ctx context.Context, w *wire, first segment) error {
	for b.covered < first.need {
		limited, cancel := context.WithDeadline(ctx, first.at.Add(commitLimit))
		err := w.commit(limited, b.due[0])
		cancel()
		if ctx.Err() != nil {
			return ctx.Err() // closed meanwhile
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", errBarrier, err)
			w.observer.barred(err)
			return err
		}
		b.pop()
	}
	return nil
}

// ask takes in what the later segments need as far as that is committed. It does not wait.
func (b *batch) ask(w *wire, need int) {
	for b.covered < need && w.commit(over, b.due[0]) == nil {
		b.pop()
	}
}

func (b *batch) pop() {
	b.due = b.due[1:]
	b.covered++
}
