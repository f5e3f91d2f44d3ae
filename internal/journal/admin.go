package journal

import (
	"context"
	"errors"
	"fmt"

	"chatrelay/internal/journal/sqlite"
)

// What people are shown of a journal, beside a running relay or without one.
type (
	Filter       = sqlite.Filter
	DeliveryInfo = sqlite.DeliveryInfo
	MessageInfo  = sqlite.MessageInfo
	Reader       = sqlite.Reader
	Verdict      = sqlite.Verdict
	Copy         = sqlite.Copy
)

// Errors of a journal.
var (
	ErrUnknown = sqlite.ErrUnknown // there is no such message
	ErrDamaged = sqlite.ErrDamaged // the files cannot be trusted. Nothing is repaired or started afresh by itself
)

// OpenReadOnly opens the journal of a folder for looking. It changes nothing in it.
func OpenReadOnly(dir string) (*Reader, error) { return sqlite.OpenReadOnly(dir) }

// List lists deliveries, oldest first.
func (j *Journal) List(ctx context.Context, f Filter) (found []DeliveryInfo, err error) {
	err = j.look(ctx, func(v sqlite.View) (err error) {
		found, err = v.List(ctx, f)
		return err
	})
	return found, err
}

// Known is Reader.Known of a journal that runs.
func Known(ctx context.Context, j *Journal, msg uint64) (m MessageInfo, err error) {
	err = j.look(ctx, func(v sqlite.View) (err error) {
		m, err = v.Known(ctx, msg)
		return err
	})
	return m, err
}

// Show gives the deliveries of a message that are open or dead, and its body.
func (j *Journal) Show(ctx context.Context, msg uint64) (found []DeliveryInfo, body []byte, err error) {
	err = j.look(ctx, func(v sqlite.View) (err error) {
		found, body, err = v.Show(ctx, msg)
		return err
	})
	return found, body, err
}

// look has all looked at that was committed before: in the tables, once they know it. While they cannot be written to the
// writer itself looks, at them and at what they were not told.
func (j *Journal) look(ctx context.Context, do func(sqlite.View) error) error {
	if _ = j.Ping(ctx); ctx.Err() != nil { // what cannot be committed is not to be seen
		return fmt.Errorf("journal: look: %w", ctx.Err())
	}
	o := &lookOp{j: j, do: do, done: make(chan error, 1)}
	if err := j.enqueue(o); err != nil {
		return fmt.Errorf("journal: look: %w", err)
	}
	var err error
	select {
	case err = <-o.done:
	case <-ctx.Done():
		if j.withdraw(o) {
			return fmt.Errorf("journal: look: %w", ctx.Err())
		}
		err = <-o.done // it has the results in hand
	}
	if err == nil && !o.looked {
		err = do(j.tables.View())
	}
	return err
}

// lookOp brings the tables up to date, or looks if that cannot be.
type lookOp struct {
	j      *Journal
	do     func(sqlite.View) error
	asked  bool
	looked bool
	err    error
	done   chan error // capacity 1
}

func (o *lookOp) size() (int, int) { return 1, 0 }
func (o *lookOp) decide(*decision) {}

func (o *lookOp) prepare() {
	o.asked = true
	if o.err = upToDate(o.j); errors.Is(o.err, errBehind) {
		o.looked = true
		o.err = o.do(o.j.tables.Beyond(o.j.pic, o.j.unsaved.changes))
	}
}

// end answers, whatever became of a commit: there is nothing of it in that.
func (o *lookOp) end(_ *Journal, err error) (again bool) {
	if o.asked {
		err = o.err
	}
	o.done <- err
	return false
}
