package sqlite

import (
	"cmp"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// unprovenKey begins the key of a row that keeps them, in the journal's own state (side 0). A row holds up to
// 256 of them: those whose number has the same upper bits. So a commit rewrites one small row, and a
// confirmation removes few.
const unprovenKey = "unproven."

// unprovenRows makes the rows that differ now. The list is in order: what changed is at its ends.
func unprovenRows(p *picture.Picture, c *picture.Changes) (rows []picture.StateSet) {
	for side := range c.Unproven {
		changed := map[uint64][]byte{}
		for _, x := range append(c.Unproven[side].Gone, c.Unproven[side].Added...) {
			changed[x.N>>8] = nil
		}
		if len(changed) == 0 {
			continue
		}
		list := &p.Unproven[side]
		begin, end := 0, list.Len()
		for begin < end && has(changed, list.At(begin)) {
			packUnproven(changed, list.At(begin))
			begin++
		}
		from := end
		for from > begin && has(changed, list.At(from-1)) {
			from--
		}
		for ; from < end; from++ {
			packUnproven(changed, list.At(from))
		}
		for n, value := range changed {
			rows = append(rows, picture.StateSet{Key: unprovenRowKey(bridge.SideID(side), n), Value: value})
		}
	}
	return rows
}

func has(rows map[uint64][]byte, x picture.Proof) bool {
	_, ok := rows[x.N>>8]
	return ok
}

func packUnproven(rows map[uint64][]byte, x picture.Proof) {
	row := append(rows[x.N>>8], byte(x.N))
	row = binary.AppendUvarint(row, x.Ref.Msg)
	rows[x.N>>8] = binary.AppendUvarint(row, uint64(x.Ref.Delivery))
}

func unprovenRowKey(side bridge.SideID, row uint64) string {
	return fmt.Sprintf("%s%d.%d", unprovenKey, side, row)
}

// loadUnproven reads what no probe has confirmed before the last end.
func (t *Tables) loadUnproven(p *picture.Picture) error {
	var found [bridge.XMPP + 1][]picture.Proof
	err := t.rows(func(rows *sql.Rows) error {
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
		slices.SortFunc(list, func(a, b picture.Proof) int { return cmp.Compare(a.N, b.N) })
		for _, u := range list {
			p.Unproven[side].Push(u)
			if m := p.Messages[u.Ref.Msg]; m != nil {
				m.Unproven++
			}
		}
	}
	return nil
}

func parseUnproven(key string, value []byte) (side bridge.SideID, list []picture.Proof, err error) {
	bad := fmt.Errorf("%w: row %q", ErrDamaged, key)
	of, rest, ok := strings.Cut(strings.TrimPrefix(key, unprovenKey), ".")
	id, err1 := strconv.ParseUint(of, 10, 8)
	row, err2 := strconv.ParseUint(rest, 10, 56)
	side = bridge.SideID(id)
	if !ok || err1 != nil || err2 != nil || side != bridge.MQTT && side != bridge.XMPP {
		return 0, nil, bad
	}
	for len(value) > 0 {
		u := picture.Proof{N: row<<8 | uint64(value[0])}
		msg, a := binary.Uvarint(value[1:])
		if a <= 0 {
			return 0, nil, bad
		}
		delivery, b := binary.Uvarint(value[1+a:])
		if b <= 0 || delivery > 1<<16-1 {
			return 0, nil, bad
		}
		u.Ref = bridge.Ref{Msg: msg, Delivery: uint16(delivery)}
		list, value = append(list, u), value[1+a+b:]
	}
	return side, list, nil
}
