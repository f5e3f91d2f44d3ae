package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"unique"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// Load makes a picture of the tables. ranAt tells at what running time a message was taken, by the clock, if the relay has
// run for so long.
func (t *Tables) Load(ranAt func(at, ran int64) int64) (*picture.Picture, error) {
	p := picture.New()
	l := &loading{t, p, ranAt}
	for _, step := range []func() error{
		l.meta, l.seen, l.failed, l.totals, l.state, l.messages, l.deliveries, l.dead, l.bound, l.unproven, l.sort,
	} {
		if err := step(); err != nil {
			return nil, Damaged(err)
		}
	}
	return p, nil
}

// loading is a picture in the making.
type loading struct {
	t     *Tables
	p     *picture.Picture
	ranAt func(at, ran int64) int64
}

func (l *loading) meta() error {
	if err := l.t.meta(metaNext, &l.p.Lease); err != nil {
		return err
	}
	if err := l.t.meta(metaLog, &l.p.Head.N); err != nil {
		return err
	}
	for k, n := range map[string]*uint64{metaSeq: &l.p.Seq, metaBound: &l.p.Bindings} {
		if err := l.t.meta(k, n); err != nil {
			return err
		}
	}
	var rules int
	if err := l.t.meta(metaRules, &rules); err != nil {
		return err
	}
	l.p.Rules = picture.Rules{Sent: rules&1 > 0, Delayed: rules&2 > 0, Failed: rules&4 > 0}
	return l.t.meta(metaRan, &l.p.Head.Ran)
}

func (l *loading) seen() error {
	p := l.p
	var generations []*picture.Generation
	var raw sql.RawBytes
	err := l.t.rows(func(rows *sql.Rows) error {
		var n, gen uint64
		var ran int64
		if err := rows.Scan(&n, &gen, &ran, &raw); err != nil {
			return err
		}
		if len(generations) == 0 || generations[len(generations)-1].N != gen {
			generations = append(generations, picture.NewGeneration(gen, ran))
		}
		g := generations[len(generations)-1]
		g.Ended, l.t.seenRow = ran, n
		p.Head.Ran = max(p.Head.Ran, ran)
		return unpack(raw, g)
	}, "SELECT n, gen, ran, keys FROM seen ORDER BY n")
	if len(generations) == 0 {
		generations = []*picture.Generation{picture.NewGeneration(1, p.Head.Ran)}
	}
	p.Keys.Generations = generations
	p.Keys.Recount()
	return err
}

func (l *loading) failed() error {
	p := l.p
	return l.t.rows(func(rows *sql.Rows) error {
		var msg, gen uint64
		var reason string
		if err := rows.Scan(&msg, &gen, &reason); err != nil {
			return err
		}
		at := p.Keys.Current()
		for _, g := range p.Keys.Generations {
			if g.N == gen {
				at = g
			}
		}
		at.Failed[msg] = unique.Make(reason).Value()
		return nil
	}, "SELECT msg, gen, reason FROM failed")
}

func (l *loading) state() error {
	p := l.p
	return l.t.rows(func(rows *sql.Rows) error {
		var k picture.StateKey
		var value []byte
		if err := rows.Scan(&k.Side, &k.Key, &value); err != nil {
			return err
		}
		p.State[k] = value
		return nil
	}, "SELECT side, key, value FROM side_state WHERE side > 0")
}

func (l *loading) totals() error {
	p := l.p
	return l.t.rows(func(rows *sql.Rows) error {
		var c bridge.Counter
		var n int64
		if err := rows.Scan(&c.Name, &c.Side, &c.Reason, &n); err != nil {
			return err
		}
		if n != 0 {
			p.Counts[c] = n
		}
		return nil
	}, "SELECT name, side, reason, n FROM totals")
}

// messageColumns are what scanMessage reads, with the keys behind them if somebody wants them.
const messageColumns = `id, at, origin, mail, answers, delayed, dropped, coalesce(reason, ''), sender, coalesce(reply, ''), coalesce(receipt, CASE WHEN reply IS NULL THEN 0 ELSE 1 END), coalesce(expires, 0), coalesce(length(keys), 0) / 16, coalesce(length(body), 0)`

func scanMessage(scan func(...any) error, keys ...any) (*picture.Message, error) {
	m := &picture.Message{Saved: true}
	s, marks := &m.Status, 0
	err := scan(append([]any{&m.ID, &m.At, &m.Origin, &m.Copies, &s.Base, &marks, &s.Dropped, &s.Reason, &m.From, &m.Reply, &m.Receipt, &m.Expires,
		&m.Keys, &m.Size}, keys...)...)
	if err != nil {
		return nil, err
	}
	if m.Origin != bridge.MQTT && m.Origin != bridge.XMPP {
		return nil, fmt.Errorf("%w: message %d is from side %d", ErrDamaged, m.ID, m.Origin)
	}
	s.Delayed, s.Over, s.Bounced = marks&bitDelayed > 0, marks&bitOver > 0, marks&bitBounced > 0
	m.Deliveries = make([]*picture.Delivery, m.Copies)
	return m, nil
}

func (l *loading) messages() error {
	p := l.p
	return l.t.rows(func(rows *sql.Rows) error {
		m, err := scanMessage(rows.Scan)
		if err != nil {
			return err
		}
		m.Ran = l.ranAt(m.At, p.Head.Ran)
		p.Messages[m.ID] = m
		return nil
	}, "SELECT "+messageColumns+" FROM messages WHERE id NOT IN (SELECT msg FROM legs WHERE state = 1) ORDER BY id")
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

// join puts an open delivery from the file into its message.
func (l *loading) join(m *picture.Message, r *loadedDelivery) error {
	p := l.p
	d := &picture.Delivery{Message: m, Seq: r.seq, Num: r.num, Kind: r.kind, Side: r.side, To: r.to, Lane: r.lane, Saved: true}
	if r.note.Valid {
		note, err := l.t.notes.parse(r.note.String)
		if err != nil {
			return fmt.Errorf("%w: note of delivery %v: %w", ErrDamaged, d.Ref(), err)
		}
		d.Note, d.Post = note, note.Post
	}
	if r.attempts > 0 || r.waited > 0 {
		d.Put = &picture.PutOff{Ref: d.Ref(), Attempts: r.attempts, Waited: r.waited}
	}
	if r.num < m.Copies {
		m.Deliveries[r.num] = d
	} else {
		m.Deliveries = append(m.Deliveries, d)
	}
	if d.Kind.IsMessage() {
		m.Open++
		p.Open[d.Side]++
	} else {
		m.Answers++
	}
	return nil
}

// deliveries reads what is open. dead letters stay in the file (their number is all that is kept of them), but for
// those of messages that have something open, too.
func (l *loading) deliveries() error {
	p := l.p
	var mixed []loadedDelivery
	err := l.t.rows(func(rows *sql.Rows) error {
		var r loadedDelivery
		if err := r.scan(rows.Scan); err != nil {
			return err
		}
		m := p.Messages[r.msg]
		if m == nil {
			mixed = append(mixed, r)
			return nil
		}
		return l.join(m, &r)
	}, "SELECT "+deliveryColumns+" FROM legs WHERE state = 0 ORDER BY seq")
	for i := range mixed {
		if err != nil {
			return err
		}
		err = l.mixed(&mixed[i])
	}
	if err != nil {
		return err
	}
	var last uint64
	err = l.t.conn.QueryRowContext(context.Background(), "SELECT coalesce(max(seq), 0) FROM legs").Scan(&last)
	p.Seq = max(p.Seq, last)
	return err
}

// mixed reads an open delivery of a message that has dead ones.
func (l *loading) mixed(r *loadedDelivery) error {
	p := l.p
	m := p.Messages[r.msg]
	if m == nil {
		read, err := l.t.ReadDead([]bridge.Ref{{Msg: r.msg}})
		if err != nil {
			return err
		}
		found := read[r.msg]
		if found == nil {
			return fmt.Errorf("%w: delivery %d.%d has no message", ErrDamaged, r.msg, r.num)
		}
		m = found.Message()
		m.Over, m.Bounced = found.Over, found.Bounced
		m.Ran = l.ranAt(m.At, p.Head.Ran)
		p.Messages[m.ID] = m
	}
	return l.join(m, r)
}

func (l *loading) bound() error {
	p := l.p
	bySeq := map[uint64]*picture.Delivery{}
	for _, m := range p.Messages {
		for _, d := range m.Deliveries {
			if d != nil && !d.Finished() {
				bySeq[d.Seq] = d
			}
		}
	}
	return l.t.rows(func(rows *sql.Rows) error {
		var seq, order uint64
		var binding []byte
		if err := rows.Scan(&seq, &order, &binding); err != nil {
			return err
		}
		p.Bindings = max(p.Bindings, order)
		if d := bySeq[seq]; d != nil {
			d.Order, d.Binding, d.Wired = order, binding, true
		}
		return nil
	}, "SELECT seq, ord, how FROM bound ORDER BY ord")
}

// sort tells what is open from what waits for a bounce, and from what is only a row.
func (l *loading) sort() error {
	p := l.p
	for _, m := range byID(p.Messages) {
		if _, failed := p.Keys.Failure(m.ID); failed && m.Dead == 0 && !m.Over { // as rows of older versions do not say
			m.Bounced = true
		}
		switch {
		case m.Pending():
			p.Pending[m.Origin]++
			p.Pinned += int64(m.Keys)
		case m.Dead > 0: // it goes with its answers
		case (m.Copies == 0 || m.Over) && m.Answers > 0: // it goes with them
		default:
			p.Finished.Push(picture.Finished{Message: m, At: l.ranAt(1<<62, p.Head.Ran)})
			p.FinishedBytes += int64(m.Size)
		}
	}
	return nil
}

func byID(messages map[uint64]*picture.Message) []*picture.Message {
	return slices.SortedFunc(maps.Values(messages), func(a, b *picture.Message) int { return cmp.Compare(a.ID, b.ID) })
}

func (l *loading) unproven() error { return l.t.loadUnproven(l.p) }
