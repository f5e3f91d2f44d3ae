package mam

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

const hashBytes = 6 // of a WireID that is remembered

// Cursor is how far the archive was taken: all up to ID, and behind it what the hashes say. Values are never changed.
type Cursor struct {
	ID    string `json:"id"`              // empty: the archive was empty
	At    int64  `json:"at"`              // when the last was taken, ms since the epoch
	Taken []byte `json:"taken,omitempty"` // hashes of what was taken between ID and Next, hashBytes each
	Next  string `json:"next,omitempty"`  // a later ID
	More  []byte `json:"more,omitempty"`  // hashes of what was taken since that
}

// Row is how the journal keeps it.
func (c Cursor) Row() bridge.StateRow {
	value, _ := json.Marshal(c) // strings and numbers never err
	return bridge.StateRow{Key: keyCursor, Value: value}
}

// Since is a time before which all was taken, by the clocks of both.
func (c Cursor) Since() time.Time { return time.UnixMilli(c.At).Add(-stanza.Skew) }

// hashes are all, one behind the other.
func (c Cursor) hashes() []byte { return slices.Concat(c.Taken, c.More) }

// add is the cursor behind one more message.
func (c Cursor) add(id, hash string, at time.Time) Cursor {
	c.At = at.UnixMilli()
	c.Next = cmp.Or(c.Next, c.ID)
	c.More = slices.Concat(c.More, []byte(hash[:hashBytes]))
	if len(c.More) == Overlap*hashBytes {
		return c.advance(id)
	}
	return c
}

// advance moves the cursor to Next, and that to a place up to which all was taken.
func (c Cursor) advance(id string) Cursor {
	return Cursor{ID: cmp.Or(c.Next, c.ID), At: c.At, Taken: c.More, Next: id}
}

// pendingCursor makes the cursors that go with what is taken.
type pendingCursor struct {
	at      Cursor
	repeats []byte // hashes of what a walk has not met again yet
}

// walkFrom is the pending cursor of a walk that begins at a cursor.
func walkFrom(c Cursor) pendingCursor {
	return pendingCursor{at: Cursor{ID: c.ID, At: c.At}, repeats: c.hashes()}
}

// add notes the next message that is taken, or met again.
func (t *pendingCursor) add(id, hash string, at time.Time) Cursor {
	var left []byte
	for m := range slices.Chunk(t.repeats, hashBytes) {
		if string(m) != hash[:hashBytes] {
			left = append(left, m...)
		}
	}
	t.repeats = left
	t.at = t.at.add(id, hash, at)
	return t.cursor()
}

func (t *pendingCursor) cursor() Cursor {
	c := t.at
	c.Taken = slices.Concat(t.repeats, c.Taken)
	return c
}
