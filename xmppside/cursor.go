package xmppside

import (
	"encoding/json"
	"slices"
	"time"

	"chatrelay/bridge"
)

// overlap is how many of the last taken messages the cursor stands back. ejabberd hands on in another order than its
// archive has them, where the senders differ: what is not there yet may stand before what was taken last.
const overlap = 64

const markBytes = 6 // of a mark that is remembered

// cursor is how far the archive was taken. Without an id everything later than At is to be taken.
type cursor struct {
	ID    string `json:"id"`
	At    int64  `json:"at"`              // when the last was taken, ms since the epoch; 0: from the beginning
	Taken []byte `json:"taken,omitempty"` // marks of what is behind ID and was taken, markBytes each
}

func (c cursor) row() bridge.StateRow {
	value, _ := json.Marshal(c) // strings and numbers never err
	return bridge.StateRow{Key: keyCursor, Value: value}
}

// marks lists what was taken behind the cursor, by short marks.
func (c cursor) marks() map[string]bool {
	out := map[string]bool{}
	for m := range slices.Chunk(c.Taken, markBytes) {
		out[string(m)] = true
	}
	return out
}

// trail makes cursors, from what was taken last.
type trail struct {
	from   string // the archive was taken up to here
	before []byte // marks behind it, from before an interruption
	ids    []string
	marks  []byte // of the same
}

// trailFrom goes on where a cursor stands.
func trailFrom(c cursor) trail { return trail{from: c.ID, before: c.Taken} }

// add notes the next message that is taken, and makes the cursor that goes with it.
func (t *trail) add(id, mark string, at time.Time) cursor {
	if len(t.ids) == overlap {
		t.from, t.before = t.ids[0], nil
		t.ids, t.marks = t.ids[1:], t.marks[markBytes:]
	}
	t.ids, t.marks = append(t.ids, id), append(t.marks, mark[:markBytes]...)
	return cursor{ID: t.from, At: at.UnixMilli(), Taken: slices.Concat(t.before, t.marks)}
}
