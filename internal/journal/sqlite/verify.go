package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// Verdict is what a journal is, and what of it does not fit together.
type Verdict struct {
	ID          string
	Position    uint64 // the frame up to which the tables know all
	First, Last uint64 // frames of the log
	Compared    int    // messages that log and tables both have from their beginning
	Open, Dead  int64  // deliveries
	Counts      map[bridge.Counter]int64
	Pending     [bridge.XMPP + 1]int64 // messages, by origin
	Wrong       []string               // a line each; none: all fits
}

func (v *Verdict) wrong(format string, args ...any) {
	v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...))
}

// Verify looks at all that there is of a journal, and compares all that is there twice. What the log still has of frames that
// the tables know is replayed for itself; what it has beyond them, on what the tables say. An error: no more of it can be read.
func (r *Reader) Verify(ctx context.Context) (v *Verdict, err error) {
	if r.log == nil {
		return nil, fmt.Errorf("journal: the tables are of an older version, which had no %s: start the relay once, which brings them up to date", LogName)
	}
	err = r.snapshot(ctx, func(s *snapshot) error {
		v = &Verdict{ID: s.id, Position: s.position.N, First: s.first, Last: s.last}
		if err := v.checkFiles(r.dir, s); err != nil || len(v.Wrong) > 0 {
			return err
		}
		p, err := s.load()
		if err == nil {
			err = v.compareRecent(s, p)
		}
		c := &picture.Changes{}
		if err == nil {
			err = s.replay(p, s.position.N+1, s.last, func(_ []picture.Fact, next *picture.Changes) { c.Add(next) })
		}
		if err == nil {
			err = v.compareLists(ctx, s, p, c)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("journal: verify: %w", Damaged(err))
	}
	return v, err
}

// checkFiles has SQLite look over both files, and looks whether they belong together.
func (v *Verdict) checkFiles(dir string, s *snapshot) error {
	for _, x := range []struct {
		name string
		db   execer
	}{{FileName, s.tables}, {LogName, s.log}} {
		if err := v.checkFile(x.name, x.db); err != nil {
			return err
		}
	}
	if err := settledWAL(filepath.Join(dir, LogName+"-wal")); err != nil && s.synced {
		v.wrong("%v", err)
	}
	stamp, err := os.ReadFile(filepath.Join(dir, LockName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(stamp) > 0 && string(stamp) != s.id {
		v.wrong("%s says that journal %s belongs here, and this is %s", LockName, stamp, s.id)
	}
	var sum uint32
	err = s.log.QueryRowContext(context.Background(), "SELECT sum FROM log WHERE n = ? AND length(frame) > 0", int64(s.position.N)).Scan(&sum)
	switch {
	case errors.Is(err, sql.ErrNoRows): // the log begins there
	case err != nil:
		return err
	case s.position.Sum != 0 && sum != s.position.Sum:
		v.wrong("frame %d of %s is not the one that the tables know: the two files are of different times", s.position.N, LogName)
	}
	return nil
}

func (v *Verdict) checkFile(name string, db execer) error {
	rows, err := db.QueryContext(context.Background(), "PRAGMA integrity_check(10)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var said string
		if err := rows.Scan(&said); err != nil {
			return err
		}
		if said != "ok" {
			v.wrong("%s: %s", name, said)
		}
	}
	return rows.Err()
}

// settledWAL is checkWAL beside somebody who may be writing: only what stays the same is damage.
func settledWAL(path string) error {
	first := checkWAL(path)
	for first != nil {
		time.Sleep(50 * time.Millisecond)
		again := checkWAL(path)
		if again != nil && again.Error() == first.Error() {
			break
		}
		first = again
	}
	return first
}

// compareLists compares what people are shown, of the tables and of the log beyond them, with the picture that a start makes.
func (v *Verdict) compareLists(ctx context.Context, s *snapshot, p *picture.Picture, c *picture.Changes) error {
	v.Counts, v.Pending = p.Counts, p.Pending
	open := map[uint64]*picture.Delivery{}
	for _, m := range p.Messages {
		if m.ID >= p.Lease {
			v.wrong("message %d has a number that was never given out: those are below %d", m.ID, p.Lease)
		}
		for _, d := range m.Deliveries {
			if d != nil && !d.Finished() {
				open[d.Seq] = d
			}
		}
	}
	v.Open = int64(len(open))
	err := s.each(ctx, newTail(p, c), func(e *DeliveryInfo) {
		if e.State == "dead" {
			v.Dead++
			return
		}
		d := open[e.Seq]
		delete(open, e.Seq)
		if d == nil || d.Ref() != e.Ref || d.To != e.To || d.Message.From != e.From || (e.State == "bound") != (d.Order > 0) {
			v.wrong("delivery %v from %s to %s (%s) is in the lists, and a start would not have it so", e.Ref, e.From, e.To, e.State)
		}
	})
	if err != nil {
		return err
	}
	for _, d := range open {
		v.wrong("delivery %v from %s to %s waits, and is not in the lists", d.Ref(), d.Message.From, d.To)
	}
	if v.Dead != p.Dead.N {
		v.wrong("%d dead letters are in the lists, and %d counted", v.Dead, p.Dead.N)
	}
	for what, query := range map[string]string{
		"bindings have no delivery":  "SELECT count(*) FROM bound WHERE seq NOT IN (SELECT seq FROM legs WHERE state = 0)",
		"deliveries have no message": "SELECT count(*) FROM legs WHERE msg NOT IN (SELECT id FROM messages)",
	} {
		var n int
		if err := s.tables.QueryRowContext(ctx, query).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			v.wrong("%s: %d %s", FileName, n, what)
		}
	}
	return nil
}

// pageOfLists is how many deliveries are listed at a time.
const pageOfLists = 4096

// each goes through all that is open or dead.
func (s *snapshot) each(ctx context.Context, t *tail, do func(*DeliveryInfo)) error {
	f := Filter{Limit: pageOfLists}
	for {
		found, err := t.list(ctx, s.tables, f)
		if err != nil || len(found) == 0 {
			return err
		}
		for i := range found {
			do(&found[i])
		}
		f.After = found[len(found)-1].Seq
	}
}
