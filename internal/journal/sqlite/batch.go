package sqlite

import (
	"slices"

	"chatrelay/internal/journal/picture"
)

// Batch is what a checkpoint writes: rows made of a picture as it was when they were gathered.
type Batch struct {
	steps      []step
	rowsBefore []rowBefore
}

// step is a statement over all rows of args, or a single one.
type step struct {
	do   *bulk
	args []any
	one  bool
}

// rowBefore is what the tables had of a delivery before a batch.
type rowBefore struct {
	*picture.Delivery
	saved, wired bool
}

func (b *Batch) rows(do *bulk, args []any) {
	if len(args) > 0 {
		b.steps = append(b.steps, step{do: do, args: args})
	}
}

func (b *Batch) one(do *bulk, args ...any) {
	b.steps = append(b.steps, step{do: do, args: args, one: true})
}

// Write writes a batch in one transaction, in any goroutine, but one at a time and beside nothing else that uses the writer's
// connection.
func (t *Tables) Write(b *Batch) error {
	err := t.stmts.begin.one(t.conn)
	for _, x := range b.steps {
		if err != nil {
			break
		}
		if x.one {
			err = x.do.one(t.conn, x.args...)
		} else {
			err = x.do.exec(t.conn, x.args)
		}
	}
	if err == nil {
		err = t.stmts.commit.one(t.conn)
	}
	if err != nil {
		_ = run(t.conn, "ROLLBACK") // SQLite may have done so by itself
		return err
	}
	t.clean = false
	if t.size != nil {
		if used, err := t.size(); err == nil { // else it is asked after the next one
			t.used = used
		}
	}
	return nil
}

// Undo says that a batch was not written. By the one who changes the picture.
func (b *Batch) Undo() {
	for _, m := range slices.Backward(b.rowsBefore) { // some are in it twice
		m.Delivery.Saved, m.Delivery.Wired = m.saved, m.wired
	}
}
