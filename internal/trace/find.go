package trace

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query says which messages are meant: those with this number, this id of the sender's, or this landline or room.
type Query struct {
	Text  string
	Since time.Time // not before; zero: any
	Until time.Time // not behind; zero: any
	Limit int       // the newest so many; 0: 20
}

// Message is what is known of one message. It holds no content.
type Message struct {
	Number   uint64    `json:"message"` // 0: it was never taken
	At       time.Time `json:"at"`
	Origin   string    `json:"origin,omitempty"` // the side it came from
	From     string    `json:"from,omitempty"`
	To       []string  `json:"to,omitempty"` // landlines and rooms
	ID       string    `json:"id,omitempty"` // the sender's
	State    string    `json:"state"`        // State…
	Stations []Station `json:"stations"`
	// Open are its deliveries that are in the journal now: on the wire, waiting, or dead.
	Open []Delivery `json:"open,omitempty"`
}

// Delivery is one that is in the journal.
type Delivery struct {
	Ref      string `json:"ref"`
	Side     string `json:"side"`
	Kind     string `json:"kind"`
	To       string `json:"to"`
	State    string `json:"state"`            // pending, bound, dead
	Reason   string `json:"reason,omitempty"` // of a dead one; else why it was last put off
	Text     string `json:"text,omitempty"`   // of a dead one: the sentence that its sender got
	Attempts int    `json:"attempts,omitempty"`
}

// States of a message.
const (
	StateWaiting   = "waiting"
	StateOnWire    = "on the wire"
	StateDelivered = "delivered"
	StateDead      = "dead letter"
	StateBounced   = "bounced"
	StateRefused   = "refused"
	StateNotTaken  = "not taken"
	StateAnswer    = "answer"                                             // a notice, receipt or error of its own, about something that was refused or repeated
	StateKnown     = "delivered or given up; nothing but its key is left" // from before the trace, or its trace has gone
)

const usual = 20

// Find looks through the files of a folder; a relay may write to them meanwhile. The newest message comes last. An empty name
// is no folder: there is nothing.
func Find(ctx context.Context, dir string, q Query) ([]*Message, error) {
	if q.Limit <= 0 {
		q.Limit = usual
	}
	m := q.matcher()
	if err := each(ctx, dir, q.Since, m.look); err != nil {
		return nil, err
	}
	c := collector{query: &q, found: map[uint64]*Message{}, unnumbered: m.unnumbered}
	for _, n := range m.newest(q.Limit) {
		c.found[n] = nil
	}
	if len(c.found) > 0 {
		if err := each(ctx, dir, time.Time{}, c.look); err != nil {
			return nil, err
		}
	}
	return c.messages(), nil
}

// matcher finds out the numbers of what is meant.
type matcher struct {
	query      *Query
	number     uint64
	needles    [][]byte // fields of a line, as they are written
	order      []uint64
	seen       map[uint64]bool
	unnumbered []Station // that have no number: refused, and nobody could be told
}

func (q *Query) matcher() *matcher {
	m := &matcher{query: q, seen: map[uint64]bool{}}
	number, _, _ := strings.Cut(q.Text, ".")
	m.number, _ = strconv.ParseUint(number, 10, 64) // 0: it is none
	for _, name := range []byte{fieldID, fieldFrom, fieldTo} {
		m.needles = append(m.needles, appendField(nil, name, q.Text))
	}
	return m
}

func (m *matcher) look(line []byte) {
	n, ok := numberOf(line)
	if !ok || !(n == m.number && n != 0) && !slices.ContainsFunc(m.needles, func(f []byte) bool { return hasField(line, f) }) {
		return
	}
	s, ok := parse(line)
	if !ok || s.At.Before(m.query.Since) || !m.query.Until.IsZero() && s.At.After(m.query.Until) {
		return
	}
	if n == 0 {
		m.unnumbered = append(m.unnumbered, s)
		return
	}
	if !m.seen[n] {
		m.seen[n] = true
		m.order = append(m.order, n)
	}
}

// newest are the numbers to show. The very number that was asked for is always one.
func (m *matcher) newest(limit int) []uint64 {
	out := m.order[max(0, len(m.order)-limit):]
	if m.seen[m.number] && !slices.Contains(out, m.number) {
		out = append(slices.Clone(out), m.number)
	}
	return out
}

// numberOf is the message's number, without parsing the line.
func numberOf(line []byte) (uint64, bool) {
	_, rest, ok1 := bytes.Cut(line, []byte{'\t'})
	text, _, ok2 := bytes.Cut(rest, []byte{'\t'})
	n := uint64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, ok1 && ok2 && len(text) > 0
}

// hasField tells whether a line has a field, which begins with its tab.
func hasField(line, field []byte) bool {
	for len(field) > 0 {
		i := bytes.Index(line, field)
		if i < 0 {
			return false
		}
		line = line[i+len(field):]
		if len(line) == 0 || line[0] == '\t' {
			return true
		}
	}
	return false
}

// collector gathers the stations of the messages that were found.
type collector struct {
	query      *Query
	found      map[uint64]*Message
	unnumbered []Station
}

func (c *collector) look(line []byte) {
	n, ok := numberOf(line)
	if !ok || n == 0 {
		return
	}
	m, wanted := c.found[n]
	if !wanted {
		return
	}
	s, ok := parse(line)
	if !ok {
		return
	}
	if m == nil {
		m = &Message{Number: n, At: s.At}
		c.found[n] = m
	}
	m.add(s)
}

func (m *Message) add(s Station) {
	switch s.Event {
	case Taken, Refused, Full:
		m.At, m.Origin, m.From, m.ID = s.At, s.Side, s.From, s.ID
		m.To = append(m.To, s.To...)
	case Bound, Resumed:
		for _, to := range s.To {
			if !isAnswer(s.Kind) && !slices.Contains(m.To, to) {
				m.To = append(m.To, to)
			}
		}
	}
	m.Stations = append(m.Stations, s)
}

func (c *collector) messages() (out []*Message) {
	for _, m := range c.found {
		if m != nil {
			out = append(out, m)
		}
	}
	for _, s := range c.unnumbered {
		m := &Message{At: s.At}
		m.add(s)
		out = append(out, m)
	}
	for _, m := range out {
		m.State = m.judge()
	}
	slices.SortFunc(out, func(a, b *Message) int { return a.At.Compare(b.At) })
	return out[max(0, len(out)-max(c.query.Limit, len(c.found))):]
}

// each reads the lines of all files, the oldest first. Files that were last written to before since are left out.
func each(ctx context.Context, dir string, since time.Time, look func(line []byte)) error {
	if dir == "" {
		return nil
	}
	found, err := numbers(dir)
	if err != nil {
		return err
	}
	for _, n := range found {
		if err := eachOf(ctx, name(dir, n), since, look); err != nil {
			return err
		}
	}
	return nil
}

func eachOf(ctx context.Context, path string, since time.Time, look func(line []byte)) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it has gone meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if info, err := f.Stat(); err != nil || info.ModTime().Before(since) {
		return err
	}
	r := bufio.NewReaderSize(f, 64<<10)
	for n := 0; ; n++ {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return nil // a last line without its end is still being written
		case errors.Is(err, bufio.ErrBufferFull):
			continue // none of ours
		case err != nil:
			return err
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		look(line[:len(line)-1])
	}
}
