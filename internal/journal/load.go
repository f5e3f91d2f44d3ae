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
		j.loadMeta, j.loadSeen, j.loadFailed, j.loadTotals, j.loadEntries, j.loadDeliveries, j.loadDead, j.loadBound, j.loadUnproven, j.queueLoaded, j.measure,
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
	if err := meta(metaID, &j.id); err != nil {
		return err
	}
	if err := meta(metaNext, &j.lease); err != nil {
		return err
	}
	j.nextID = firstNumber(j.lease, j.nowMS())
	if err := j.exec("DELETE FROM meta WHERE k = ?", metaProbe); err != nil && !temporary(err) {
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
		if len(j.dedup.generations) == 0 || j.dedup.current().n != gen {
			j.dedup.generations = append(j.dedup.generations, newGeneration(gen, ran))
		}
		j.dedup.current().ended, j.seenRow = ran, n
		j.ranBase = max(j.ranBase, ran)
		return j.dedup.unpack(raw)
	}, "SELECT n, gen, ran, keys FROM seen ORDER BY n")
	if len(j.dedup.generations) == 0 {
		j.dedup.generations = []*generation{newGeneration(1, j.ranBase)}
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
		at := j.dedup.current()
		for _, g := range j.dedup.generations {
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

// entryColumns are what scanLetter reads.
const entryColumns = `id, at, origin, mail, answers, delayed, dropped, coalesce(reason, ''), sender, coalesce(reply, ''), coalesce(receipt, reply IS NOT NULL), coalesce(expires, 0), coalesce(length(keys), 0) / 16, coalesce(length(body), 0)`

func scanEntry(scan func(...any) error) (*entry, error) {
	m := &entry{}
	b := &m.durable
	err := scan(&m.id, &m.at, &m.origin, &m.copies, &b.base, &b.delayed, &b.dropped, &b.reason, &m.from, &m.reply, &m.receipt, &m.expires, &m.keys, &m.size)
	if err != nil {
		return nil, err
	}
	if m.origin != bridge.MQTT && m.origin != bridge.XMPP {
		return nil, fmt.Errorf("%w: message %d is from side %d", ErrDamaged, m.id, m.origin)
	}
	b.row = true
	m.deliveries = make([]*delivery, m.copies)
	return m, nil
}

func (j *Journal) loadEntries() error {
	return j.rows(func(rows *sql.Rows) error {
		m, err := scanEntry(rows.Scan)
		if err != nil {
			return err
		}
		m.ran = j.ranAt(m.at)
		j.entries[m.id] = m
		return nil
	}, "SELECT "+entryColumns+" FROM messages WHERE id NOT IN (SELECT msg FROM legs WHERE state = 1) ORDER BY id")
}

// loadedDelivery is a row of deliveries.
type loadedDelivery struct {
	msg, seq uint64
	num      uint16
	kind     bridge.Kind
	side     bridge.SideID
	to, lane string
	dead     bool
	attempts uint32
	waited   int64
	note     sql.NullString
}

const deliveryColumns = "seq, msg, leg, side, kind, dest, lane, state, attempts, waited, note"

func (r *loadedDelivery) scan(scan func(...any) error) error {
	err := scan(&r.seq, &r.msg, &r.num, &r.side, &r.kind, &r.to, &r.lane, &r.dead, &r.attempts, &r.waited, &r.note)
	if err == nil && r.side != bridge.MQTT && r.side != bridge.XMPP {
		return fmt.Errorf("%w: delivery %d.%d is for side %d", ErrDamaged, r.msg, r.num, r.side)
	}
	return err
}

// join puts a delivery from the file into its message.
func (j *Journal) join(m *entry, r *loadedDelivery) (*delivery, error) {
	d := &delivery{entry: m, seq: r.seq, num: r.num, kind: r.kind, attempts: r.attempts, waited: r.waited}
	d.durable = durableDelivery{row: true, dead: r.dead}
	if r.note.Valid {
		note, err := j.notes.parse(r.note.String)
		if err != nil {
			return nil, fmt.Errorf("%w: note of delivery %v: %w", ErrDamaged, d.ref(), err)
		}
		d.note, d.post = note, note.Post
	}
	if r.num < m.copies {
		m.deliveries[r.num] = d
	} else {
		m.deliveries = append(m.deliveries, d)
	}
	switch {
	case r.dead:
		d.state = settling
		d.lane = &lane{side: r.side, name: r.lane} // no dispatcher comes by
		d.to = d.lane.part(r.to)
		m.durable.dead++
		return d, nil
	case d.kind.IsMessage():
		m.durable.open++
	default:
		m.durable.answers++
	}
	d.lane = j.lane(r.side, r.lane)
	d.to, m.from = d.lane.part(r.to), d.lane.part(m.from)
	j.addWaiting(d)
	return d, nil
}

// loadDeliveries reads what is open. dead letters stay in the file (their number is all that is kept of them), but for
// those of messages that have something open, too.
func (j *Journal) loadDeliveries() error {
	var mixed []loadedDelivery
	err := j.rows(func(rows *sql.Rows) error {
		var r loadedDelivery
		if err := r.scan(rows.Scan); err != nil {
			return err
		}
		m := j.entries[r.msg]
		if m == nil {
			mixed = append(mixed, r)
			return nil
		}
		return j.loadDelivery(m, &r)
	}, "SELECT "+deliveryColumns+" FROM legs WHERE state = 0 ORDER BY seq")
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

func (j *Journal) loadDelivery(m *entry, r *loadedDelivery) error {
	d, err := j.join(m, r)
	if err != nil {
		return err
	}
	d.state = uncommitted // loadBound and settleLoad say where it is
	j.loading = append(j.loading, d)
	if d.kind.IsMessage() {
		j.open[d.lane.side]++
	}
	return nil
}

// loadMixed reads an open delivery of a message that has dead ones.
func (j *Journal) loadMixed(r *loadedDelivery) error {
	m := j.entries[r.msg]
	if m == nil {
		read, err := j.readDead([]bridge.Ref{{Msg: r.msg}})
		if err != nil {
			return err
		}
		row, ok := read[r.msg]
		if !ok {
			return fmt.Errorf("%w: delivery %d.%d has no message", ErrDamaged, r.msg, r.num)
		}
		if m, err = j.whole(row); err != nil {
			return err
		}
		j.entries[m.id] = m
	}
	return j.loadDelivery(m, r)
}

func (j *Journal) loadBound() error {
	bySeq := map[uint64]bool{}
	err := j.rows(func(rows *sql.Rows) error {
		var seq uint64
		if err := rows.Scan(&seq, &j.lastBinding); err != nil {
			return err
		}
		bySeq[seq] = true
		return nil
	}, "SELECT seq, ord FROM bound ORDER BY ord")
	for _, d := range j.loading {
		if bySeq[d.seq] {
			d.state, d.durable.bound, d.durable.wired = inflight, true, true
			continue
		}
		j.queueDelivery(d)
	}
	j.loading = nil
	return err
}

// queueLoaded sorts the messages into what is open, what waits for a bounce, and what is only a row.
func (j *Journal) queueLoaded() error {
	now := j.running()
	return j.rows(func(rows *sql.Rows) error {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		j.nextID = max(j.nextID, id+1)
		m := j.entries[id]
		if m == nil {
			return nil // a dead letter
		}
		if _, failed := j.dedup.failure(id); failed && m.durable.dead == 0 {
			m.durable.bounced = true
		}
		switch {
		case m.pending():
			j.pending[m.origin]++
			j.pinned += int64(m.keys)
			j.byAge.push(m)
			if !m.durable.delayed {
				j.undelayed.push(m)
			}
		case m.durable.dead > 0: // it goes with its answers
		case m.copies == 0 && m.durable.answers > 0: // it goes with them
		default:
			j.finished.push(finished{m, now})
			j.finishedBytes += int64(m.size)
		}
		return nil
	}, "SELECT id FROM messages ORDER BY id")
}
