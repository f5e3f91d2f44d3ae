package journal

import (
	"context"
	"database/sql"
	"fmt"

	"chatrelay/bridge"
)

// load reads the journal into memory. Start is recovery: there is no other way to begin.
func (j *Journal) load() error {
	var err error
	if j.pageSize, err = pragma(j.conn, "page_size"); err != nil {
		return err
	}
	for _, step := range []func() error{
		j.loadMeta, j.loadSeen, j.loadFailed, j.loadTotals, j.loadLetters, j.loadLegs, j.loadDead, j.loadBound, j.loadUnproven, j.settleLoad, j.weigh,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// rows runs a query and hands each row to scan.
func (j *Journal) rows(scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := j.conn.QueryContext(context.Background(), query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (j *Journal) loadMeta() error {
	meta := func(k string, v any) error {
		err := j.conn.QueryRowContext(context.Background(), "SELECT v FROM meta WHERE k = ?", k).Scan(v)
		if err != nil {
			return fmt.Errorf("%w: meta %s: %w", ErrDamaged, k, err)
		}
		return nil
	}
	if err := meta(metaStamp, &j.stamp); err != nil {
		return err
	}
	if err := meta(metaNext, &j.lease); err != nil {
		return err
	}
	j.next = firstNumber(j.lease, j.nowMS())
	if err := j.exec("DELETE FROM meta WHERE k = ?", metaProbe); err != nil && !passing(err) {
		return err // it is only there if the process ended in the midst of a probe
	}
	if err := meta(metaRan, &j.ranBase); err != nil {
		return err
	}
	j.ranSaved = j.ranBase
	return nil
}

func (j *Journal) loadSeen() error {
	j.dedup.max = j.opt.DedupMaxKeys
	j.dedup.span = max(1, j.opt.DedupWindow.Milliseconds()/perWindow)
	var raw sql.RawBytes
	err := j.rows(func(rows *sql.Rows) error {
		var n, gen uint64
		var ran int64
		if err := rows.Scan(&n, &gen, &ran, &raw); err != nil {
			return err
		}
		if len(j.dedup.gens) == 0 || j.dedup.young().n != gen {
			j.dedup.gens = append(j.dedup.gens, newGeneration(gen, ran))
		}
		j.dedup.young().ended, j.seenRow = ran, n
		j.ranBase = max(j.ranBase, ran)
		return j.dedup.unpack(raw)
	}, "SELECT n, gen, ran, keys FROM seen ORDER BY n")
	if len(j.dedup.gens) == 0 {
		j.dedup.gens = []*generation{newGeneration(1, j.ranBase)}
	}
	j.ranSaved = j.ranBase
	j.dedup.recount()
	return err
}

func (j *Journal) loadFailed() error {
	return j.rows(func(rows *sql.Rows) error {
		var msg, gen uint64
		var reason string
		if err := rows.Scan(&msg, &gen, &reason); err != nil {
			return err
		}
		at := j.dedup.young()
		for _, g := range j.dedup.gens {
			if g.n == gen {
				at = g
			}
		}
		at.failed[msg] = intern(reason)
		return nil
	}, "SELECT msg, gen, reason FROM failed")
}

func (j *Journal) loadTotals() error {
	return j.rows(func(rows *sql.Rows) error {
		var c bridge.Counter
		var n int64
		if err := rows.Scan(&c.Name, &c.Side, &c.Reason, &n); err != nil {
			return err
		}
		if n != 0 {
			j.counts[c] = n
		}
		return nil
	}, "SELECT name, side, reason, n FROM totals")
}

// letterColumns are what scanLetter reads.
const letterColumns = `id, at, origin, mail, answers, delayed, dropped, coalesce(reason, ''), sender, coalesce(reply, ''), coalesce(receipt, reply IS NOT NULL), coalesce(length(keys), 0) / 16, coalesce(length(body), 0)`

func scanLetter(scan func(...any) error) (*letter, error) {
	m := &letter{}
	b := &m.book
	err := scan(&m.id, &m.at, &m.origin, &m.mail, &b.base, &b.delayed, &b.dropped, &b.reason, &m.from, &m.reply, &m.receipt, &m.keys, &m.size)
	if err != nil {
		return nil, err
	}
	if m.origin != bridge.MQTT && m.origin != bridge.XMPP {
		return nil, fmt.Errorf("%w: message %d is from side %d", ErrDamaged, m.id, m.origin)
	}
	b.row = true
	m.legs = make([]*leg, m.mail)
	return m, nil
}

func (j *Journal) loadLetters() error {
	return j.rows(func(rows *sql.Rows) error {
		m, err := scanLetter(rows.Scan)
		if err != nil {
			return err
		}
		m.born = j.bornAt(m.at)
		j.letters[m.id] = m
		return nil
	}, "SELECT "+letterColumns+" FROM messages WHERE id NOT IN (SELECT msg FROM legs WHERE state = 1) ORDER BY id")
}

// loadedLeg is a row of deliveries.
type loadedLeg struct {
	msg, seq uint64
	num      uint16
	kind     bridge.Kind
	side     bridge.SideID
	to, lane string
	dead     bool
	attempts uint32
	first    int64
	note     sql.NullString
}

const legColumns = "seq, msg, leg, side, kind, dest, lane, state, attempts, first_at, note"

func (r *loadedLeg) scan(scan func(...any) error) error {
	err := scan(&r.seq, &r.msg, &r.num, &r.side, &r.kind, &r.to, &r.lane, &r.dead, &r.attempts, &r.first, &r.note)
	if err == nil && r.side != bridge.MQTT && r.side != bridge.XMPP {
		return fmt.Errorf("%w: leg %d.%d is for side %d", ErrDamaged, r.msg, r.num, r.side)
	}
	return err
}

// join puts a delivery from the file into its message.
func (j *Journal) join(m *letter, r *loadedLeg) (*leg, error) {
	l := &leg{letter: m, seq: r.seq, num: r.num, kind: r.kind, attempts: r.attempts, first: r.first}
	l.book = legBook{row: true, dead: r.dead}
	if r.note.Valid {
		note, err := j.notes.read(r.note.String)
		if err != nil {
			return nil, fmt.Errorf("%w: note of leg %v: %w", ErrDamaged, l.ref(), err)
		}
		l.note, l.post = note, note.Post
	}
	if r.num < m.mail {
		m.legs[r.num] = l
	} else {
		m.legs = append(m.legs, l)
	}
	switch {
	case r.dead:
		l.stand = closing
		l.lane = &lane{side: r.side, name: r.lane} // no dispatcher comes by
		l.to = l.lane.part(r.to)
		m.book.dead++
		return l, nil
	case l.kind.IsMessage():
		m.book.open++
	default:
		m.book.answers++
	}
	l.lane = j.lane(r.side, r.lane)
	l.to, m.from = l.lane.part(r.to), l.lane.part(m.from)
	j.hold(l)
	return l, nil
}

// loadLegs reads what is open. dead letters stay in the file (their number is all that is kept of them), but for
// those of messages that have something open, too.
func (j *Journal) loadLegs() error {
	var mixed []loadedLeg
	err := j.rows(func(rows *sql.Rows) error {
		var r loadedLeg
		if err := r.scan(rows.Scan); err != nil {
			return err
		}
		m := j.letters[r.msg]
		if m == nil {
			mixed = append(mixed, r)
			return nil
		}
		return j.loadLeg(m, &r)
	}, "SELECT "+legColumns+" FROM legs WHERE state = 0 ORDER BY seq")
	for i := range mixed {
		if err != nil {
			return err
		}
		err = j.loadMixed(&mixed[i])
	}
	if err != nil {
		return err
	}
	return j.conn.QueryRowContext(context.Background(), "SELECT coalesce(max(seq), 0) FROM legs").Scan(&j.seq)
}

func (j *Journal) loadLeg(m *letter, r *loadedLeg) error {
	l, err := j.join(m, r)
	if err != nil {
		return err
	}
	l.stand = unborn // loadBound and settleLoad say where it is
	j.loading = append(j.loading, l)
	if l.kind.IsMessage() {
		j.open[l.lane.side]++
	}
	return nil
}

// loadMixed reads an open delivery of a message that has dead ones.
func (j *Journal) loadMixed(r *loadedLeg) error {
	m := j.letters[r.msg]
	if m == nil {
		read, err := j.readDead([]bridge.Ref{{Msg: r.msg}})
		if err != nil {
			return err
		}
		row, ok := read[r.msg]
		if !ok {
			return fmt.Errorf("%w: leg %d.%d has no message", ErrDamaged, r.msg, r.num)
		}
		if m, err = j.whole(row); err != nil {
			return err
		}
		j.letters[m.id] = m
	}
	return j.loadLeg(m, r)
}

func (j *Journal) loadBound() error {
	bySeq := map[uint64]bool{}
	err := j.rows(func(rows *sql.Rows) error {
		var seq uint64
		if err := rows.Scan(&seq, &j.ord); err != nil {
			return err
		}
		bySeq[seq] = true
		return nil
	}, "SELECT seq, ord FROM bound ORDER BY ord")
	for _, l := range j.loading {
		if bySeq[l.seq] {
			l.stand, l.book.bound, l.book.wired = held, true, true
			continue
		}
		j.queueUp(l)
	}
	j.loading = nil
	return err
}

// settleLoad sorts the messages into what is open, what waits for a bounce, and what is only a row.
func (j *Journal) settleLoad() error {
	now := j.running()
	return j.rows(func(rows *sql.Rows) error {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		j.next = max(j.next, id+1)
		m := j.letters[id]
		if m == nil {
			return nil // a dead letter
		}
		if _, failed := j.dedup.why(id); failed && m.book.dead == 0 {
			m.book.bounced = true
		}
		switch {
		case m.pending():
			j.pending[m.origin]++
			j.pinned += int64(m.keys)
			j.oldest.push(m)
			if !m.book.delayed {
				j.young.push(m)
			}
		case m.book.dead > 0: // it goes with its answers
		case m.mail == 0 && m.book.answers > 0: // it goes with them
		default:
			j.done.push(finished{m, now})
			j.kept += int64(m.size)
		}
		return nil
	}, "SELECT id FROM messages ORDER BY id")
}
