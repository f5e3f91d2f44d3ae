package journal

import (
	"cmp"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"chatrelay/bridge"
)

// unproven is a delivery that was settled on a word that proves little (MQTT 3.1.1 acknowledges what the broker
// drops). Its message stays in the journal until the side confirms it, or it is bounced.
type unproven struct {
	n   uint64 // running number; grows
	ref bridge.Ref
}

// unprovenKey begins the key of a row that keeps them, in the journal's own state (side 0). A row holds up to
// 256 of them: those whose number has the same upper bits. So a commit rewrites one small row, and a
// confirmation removes few.
const unprovenKey = "unproven."

func (u unproven) row() uint64 { return u.n >> 8 }

// unprovenChange is what a transaction does to a side's list: it lets go of some at the front, and adds.
type unprovenChange struct {
	gone  int // of the list and what is added, together
	added []unproven
}

// LastUnproven implements bridge.SideJournal.
func (j *Journal) LastUnproven() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lastUnproven
}

// Confirm implements bridge.SideJournal.
func (j *Journal) Confirm(side bridge.SideID, unprovenNo uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put(&confirmOp{side, unprovenNo})
}

// BounceUnconfirmed implements bridge.SideJournal.
func (j *Journal) BounceUnconfirmed(side bridge.SideID, upTo uint64, longer int, why *bridge.Refusal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put(&bounceUnconfirmedOp{side, upTo, longer, why})
}

// numberUnproven numbers the results that prove little. Under Journal.mu.
func (j *Journal) numberUnproven(results []bridge.Result) (before uint64) {
	before = j.lastUnproven
	for _, r := range results {
		if r.Unproven && r.Err == nil {
			j.lastUnproven++
		}
	}
	return before
}

type confirmOp struct {
	side bridge.SideID
	upTo uint64
}

func (o *confirmOp) size() (int, int)               { return 1, 0 }
func (o *confirmOp) end(_ *Journal, err error) bool { return err != nil }

func (o *confirmOp) apply(t *txn) {
	for t.unprovenLeft(o.side) > 0 && t.firstUnproven(o.side).n <= o.upTo {
		t.popUnproven(o.side)
	}
}

// bounceUnconfirmedOp bounces what was never confirmed.
type bounceUnconfirmedOp struct {
	side   bridge.SideID
	upTo   uint64
	longer int
	why    *bridge.Refusal
}

func (o *bounceUnconfirmedOp) size() (int, int)               { return 1, 0 }
func (o *bounceUnconfirmedOp) end(_ *Journal, err error) bool { return err != nil }

func (o *bounceUnconfirmedOp) apply(t *txn) {
	for t.unprovenLeft(o.side) > 0 && t.firstUnproven(o.side).n <= o.upTo {
		u := t.firstUnproven(o.side)
		t.popUnproven(o.side)
		m := t.j.entries[u.ref.Msg]
		if m != nil && int(m.size) <= o.longer {
			continue
		}
		t.count(bridge.Unconfirmed, o.side, "", 1)
		t.bounceSettled(u.ref.Msg, m, o.why)
	}
}

// addUnproven puts a delivery that is being settled on the list.
func (t *txn) addUnproven(d *delivery, n uint64) {
	if d.finished() || !d.kind.IsMessage() {
		return
	}
	c := &t.unproven[d.lane.side]
	c.added = append(c.added, unproven{n, d.ref()})
	t.snapshot(d.entry).unproven++
}

func (t *txn) unprovenAt(side bridge.SideID, i int) unproven {
	list := &t.j.unproven[side]
	if i < list.len() {
		return list.at(i)
	}
	return t.unproven[side].added[i-list.len()]
}

func (t *txn) unprovenLen(side bridge.SideID) int {
	return t.j.unproven[side].len() + len(t.unproven[side].added)
}

func (t *txn) unprovenLeft(side bridge.SideID) int {
	return t.unprovenLen(side) - t.unproven[side].gone
}

func (t *txn) firstUnproven(side bridge.SideID) unproven {
	return t.unprovenAt(side, t.unproven[side].gone)
}

// popUnproven takes the first off the list.
func (t *txn) popUnproven(side bridge.SideID) {
	u := t.firstUnproven(side)
	t.unproven[side].gone++
	if m := t.j.entries[u.ref.Msg]; m != nil && m.durable.unproven > 0 {
		t.snapshot(m).unproven--
	}
}

// saveUnproven makes the rows that differ now.
func (t *txn) saveUnproven() {
	for side := range t.unproven {
		c := &t.unproven[side]
		if c.gone == 0 && len(c.added) == 0 {
			continue
		}
		id := bridge.SideID(side)
		rows := map[uint64][]byte{}
		for i := range c.gone {
			rows[t.unprovenAt(id, i).row()] = nil
		}
		if t.unprovenLeft(id) > 0 {
			first := t.firstUnproven(id).row()
			t.packUnproven(rows, id, c.gone, func(u unproven) bool { return u.row() == first })
			from := max(c.gone, t.j.unproven[side].len())
			for from > c.gone && (from == t.unprovenLen(id) || t.unprovenAt(id, from-1).row() == t.unprovenAt(id, from).row()) {
				from--
			}
			t.packUnproven(rows, id, from, func(unproven) bool { return true })
		}
		var changed []bridge.StateRow
		for n, value := range rows {
			changed = append(changed, bridge.StateRow{Key: unprovenRowKey(id, n), Value: value})
		}
		t.setState(0, changed)
	}
}

// packUnproven makes whole rows of what stands from an index on, as long as it belongs to them.
func (t *txn) packUnproven(rows map[uint64][]byte, side bridge.SideID, from int, belongs func(unproven) bool) {
	fresh := map[uint64]bool{}
	for i := from; i < t.unprovenLen(side); i++ {
		u := t.unprovenAt(side, i)
		if !belongs(u) {
			return
		}
		n := u.row()
		if !fresh[n] {
			fresh[n], rows[n] = true, []byte{}
		}
		rows[n] = append(rows[n], byte(u.n))
		rows[n] = binary.AppendUvarint(rows[n], u.ref.Msg)
		rows[n] = binary.AppendUvarint(rows[n], uint64(u.ref.Delivery))
	}
}

// commitUnproven makes the change visible.
func (t *txn) commitUnproven() {
	for side := range t.unproven {
		list := &t.j.unproven[side]
		for _, u := range t.unproven[side].added {
			list.push(u)
		}
		list.drop(t.unproven[side].gone)
	}
}

func unprovenRowKey(side bridge.SideID, row uint64) string {
	return fmt.Sprintf("%s%d.%d", unprovenKey, side, row)
}

// loadUnproven reads what no probe has confirmed before the last end.
func (j *Journal) loadUnproven() error {
	var found [bridge.XMPP + 1][]unproven
	err := j.rows(func(rows *sql.Rows) error {
		var key string
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		side, list, err := parseUnproven(key, value)
		if err == nil {
			found[side] = append(found[side], list...)
		}
		return err
	}, "SELECT key, value FROM side_state WHERE side = 0 AND key LIKE ?", unprovenKey+"%")
	if err != nil {
		return err
	}
	for side, list := range found {
		slices.SortFunc(list, func(a, b unproven) int { return cmp.Compare(a.n, b.n) })
		for _, u := range list {
			j.unproven[side].push(u)
			j.lastUnproven = max(j.lastUnproven, u.n)
			if m := j.entries[u.ref.Msg]; m != nil {
				m.durable.unproven++
			}
		}
	}
	return nil
}

func parseUnproven(key string, value []byte) (side bridge.SideID, list []unproven, err error) {
	bad := fmt.Errorf("%w: row %q", ErrDamaged, key)
	of, rest, ok := strings.Cut(strings.TrimPrefix(key, unprovenKey), ".")
	id, err1 := strconv.ParseUint(of, 10, 8)
	row, err2 := strconv.ParseUint(rest, 10, 56)
	side = bridge.SideID(id)
	if !ok || err1 != nil || err2 != nil || side != bridge.MQTT && side != bridge.XMPP {
		return 0, nil, bad
	}
	for len(value) > 0 {
		u := unproven{n: row<<8 | uint64(value[0])}
		msg, a := binary.Uvarint(value[1:])
		if a <= 0 {
			return 0, nil, bad
		}
		delivery, b := binary.Uvarint(value[1+a:])
		if b <= 0 || delivery > 1<<16-1 {
			return 0, nil, bad
		}
		u.ref = bridge.Ref{Msg: msg, Delivery: uint16(delivery)}
		list, value = append(list, u), value[1+a+b:]
	}
	return side, list, nil
}
