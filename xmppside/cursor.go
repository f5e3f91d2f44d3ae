package xmppside

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// overlap is how many of the last taken messages the cursor stands back, at least; at most it is twice that. ejabberd
// hands on in another order than its archive has them, where the senders differ: what is not there yet may stand before
// what was taken last.
const overlap = 32

const hashBytes = 6 // of a mark that is remembered

// cursor is how far the archive was taken: all up to ID, and behind it what the marks say. Values are never changed.
type cursor struct {
	ID    string `json:"id"`              // empty: the archive was empty
	At    int64  `json:"at"`              // when the last was taken, ms since the epoch
	Taken []byte `json:"taken,omitempty"` // marks of what was taken between ID and Next, markBytes each
	Next  string `json:"next,omitempty"`  // a later ID
	More  []byte `json:"more,omitempty"`  // marks of what was taken since that
}

func (c cursor) row() bridge.StateRow {
	value, _ := json.Marshal(c) // strings and numbers never err
	return bridge.StateRow{Key: keyCursor, Value: value}
}

// since is a time before which all was taken, by the clocks of both.
func (c cursor) since() time.Time { return time.UnixMilli(c.At).Add(-stanza.Skew) }

// hashes are all, one behind the other.
func (c cursor) hashes() []byte { return slices.Concat(c.Taken, c.More) }

// add is the cursor behind one more message.
func (c cursor) add(id, mark string, at time.Time) cursor {
	c.At = at.UnixMilli()
	c.Next = cmp.Or(c.Next, c.ID)
	c.More = slices.Concat(c.More, []byte(mark[:hashBytes]))
	if len(c.More) == overlap*hashBytes {
		return c.turn(id)
	}
	return c
}

// turn moves the cursor to Next, and that to a place up to which all was taken.
func (c cursor) turn(id string) cursor {
	return cursor{ID: cmp.Or(c.Next, c.ID), At: c.At, Taken: c.More, Next: id}
}

// pending cursor makes the cursors that go with what is taken.
type pendingCursor struct {
	at    cursor
	again []byte // marks of what a walk has not met again yet
}

// walkFrom is the pending cursor of a walk that begins at a cursor.
func walkFrom(c cursor) pendingCursor {
	return pendingCursor{at: cursor{ID: c.ID, At: c.At}, again: c.hashes()}
}

// add notes the next message that is taken, or met again.
func (t *pendingCursor) add(id, mark string, at time.Time) cursor {
	var left []byte
	for m := range slices.Chunk(t.again, hashBytes) {
		if string(m) != mark[:hashBytes] {
			left = append(left, m...)
		}
	}
	t.again = left
	t.at = t.at.add(id, mark, at)
	return t.cursor()
}

func (t *pendingCursor) cursor() cursor {
	c := t.at
	c.Taken = slices.Concat(t.again, c.Taken)
	return c
}
