package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/message"
)

// recent is what the log alone says, by the frames that the tables have, too: of messages that were taken in them, nothing is
// missing.
type recent struct {
	p        *picture.Picture
	messages map[uint64]*picture.Message
	bodies   map[uint64][]byte
	deleted  map[uint64]bool
	keys     map[picture.SeenKey]bool
}

// compareRecent compares it with what the tables say.
func (v *Verdict) compareRecent(s *snapshot, p *picture.Picture) error {
	r := &recent{picture.New(), map[uint64]*picture.Message{}, map[uint64][]byte{}, map[uint64]bool{}, map[picture.SeenKey]bool{}}
	r.p.Rules = p.Rules
	if err := s.replay(r.p, s.first, s.position.N, r.add); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(r.messages)) {
		in, err := s.message(p, id)
		if err != nil {
			return err
		}
		if err := v.compareMessage(s, r, r.messages[id], in); err != nil {
			return err
		}
	}
	v.Compared = len(r.messages)
	for k := range r.keys {
		if known, ok := p.Keys.Find(k.Origin, k.Key); !ok || known != k.First {
			v.wrong("message %d has a key in the log, and another one or none in the tables: sent again it would not be known", k.First.Msg)
		}
	}
	for k, value := range r.p.State {
		if !bytes.Equal(p.State[k], value) {
			v.wrong("what %v keeps as %q is one thing in the log and another one in the tables", k.Side, k.Key)
		}
	}
	return nil
}

func (r *recent) add(facts []picture.Fact, c *picture.Changes) {
	for _, f := range facts {
		switch f := f.(type) {
		case *picture.Rules: // what was settled before may have been answered by others
			clear(r.messages)
		case *picture.Rotated: // some are forgotten
			clear(r.keys)
		case *picture.Took:
			r.learn(f.Origin, f.Keys, picture.First{Msg: f.ID, Via: f.Via})
		case *picture.Learned:
			r.learn(f.Origin, f.Keys, picture.First{Msg: f.Msg, Via: f.Via})
		}
	}
	for _, x := range c.Taken {
		r.messages[x.ID], r.bodies[x.ID] = x.Message, x.Body
	}
	for _, x := range c.Messages {
		if r.messages[x.ID] != nil {
			r.messages[x.ID] = x.Message // a dead letter that was read back is another one
		}
	}
	for _, x := range c.Cut {
		r.bodies[x.ID] = x.Body
	}
	for _, id := range c.Deleted {
		r.deleted[id] = true
	}
}

func (r *recent) learn(origin bridge.SideID, keys []message.Key, first picture.First) {
	for _, k := range keys {
		r.keys[picture.SeenKey{Key: k, Origin: origin, First: first}] = true
	}
}

// message is what the tables have of a message; nil: nothing.
func (s *snapshot) message(p *picture.Picture, id uint64) (*picture.Message, error) {
	if m := p.Messages[id]; m != nil {
		return m, nil
	}
	read, err := tablesOf(s.tables).ReadDead([]bridge.Ref{{Msg: id}})
	if err != nil || read[id] == nil {
		return nil, err
	}
	m := read[id].Message()
	m.Over, m.Bounced = read[id].Over, read[id].Bounced
	for side := range p.Unproven {
		for _, x := range p.Unproven[side].All() {
			if x.Ref.Msg == id {
				m.Unproven++
			}
		}
	}
	return m, nil
}

// compareMessage compares a message with its row, and its body.
func (v *Verdict) compareMessage(s *snapshot, r *recent, m, in *picture.Message) error {
	switch {
	case r.deleted[m.ID] && in != nil:
		v.wrong("message %d is over by the log, and in the tables still", m.ID)
	case r.deleted[m.ID]:
	case in == nil:
		v.wrong("message %d from %s is missing in the tables", m.ID, m.From)
	default:
		if log, tables := differ(asSaved(m, in), in); log != "" {
			v.wrong("message %d is\n  by the log: %s\n  in the tables: %s", m.ID, log, tables)
		}
		var body []byte
		if err := s.tables.QueryRowContext(context.Background(), "SELECT coalesce(body, x'') FROM messages WHERE id = ?", int64(m.ID)).Scan(&body); err != nil {
			return err
		}
		if !bytes.Equal(body, r.bodies[m.ID]) {
			v.wrong("message %d has another content in the tables than in the log", m.ID)
		}
	}
	return nil
}

// asSaved is a message without what tables do not keep, and with the places that it has in the order of all.
func asSaved(m, in *picture.Message) *picture.Message {
	out := *m
	out.Ran, out.Size, out.Cut = in.Ran, uint32(m.BodySize()), 0
	out.Deliveries = nil
	for _, d := range m.Deliveries {
		if d == nil {
			continue
		}
		c := *d
		if t := in.Delivery(d.Num); t != nil {
			c.Seq = t.Seq
			if c.Order > 0 && t.Order > 0 {
				c.Order = t.Order
			}
		}
		if c.Dead && c.Put != nil {
			c.Put = &picture.PutOff{Attempts: c.Put.Attempts}
		}
		out.Deliveries = append(out.Deliveries, &c)
	}
	slices.SortFunc(out.Deliveries, func(a, b *picture.Delivery) int { return cmp.Compare(a.Seq, b.Seq) })
	return &out
}

// differ gives what is different in the words about two messages; nothing: they are the same.
func differ(a, b *picture.Message) (onlyA, onlyB string) {
	say := func(m *picture.Message) []string {
		var w strings.Builder
		m.Words(&w)
		return strings.Split(strings.TrimSpace(w.String()), "\n")
	}
	linesA, linesB := say(a), say(b)
	if slices.Equal(linesA, linesB) {
		return "", ""
	}
	only := func(lines, others []string) string {
		left := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(others, l) })
		if len(left) == 0 {
			return "nothing more"
		}
		return strings.Join(left, "; ")
	}
	return only(linesA, linesB), only(linesB, linesA)
}
