package picture

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"

	"chatrelay/bridge"
	"chatrelay/message"
)

// Words says what a picture is, all of it but where things are kept: two pictures with the same words are the same.
func (p *Picture) Words(w io.Writer) {
	fmt.Fprintf(w, "frame %d, ran %d, rules %+v, lease %d\n", p.Head.N, p.Head.Ran, p.Rules, p.Lease)
	for _, c := range sorted(p.Counts, func(a, b bridge.Counter) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Reason, b.Reason))
	}) {
		fmt.Fprintf(w, "%s %v %q: %d\n", c.Name, c.Side, c.Reason, p.Counts[c])
	}
	fmt.Fprintf(w, "pending %v, open %v, pinned %d, dead %+v, %d finished of %d bytes, seq %d, bindings %d\n",
		p.Pending, p.Open, p.Pinned, p.Dead, p.Finished.Len(), p.FinishedBytes, p.Seq, p.Bindings)
	for _, k := range sorted(p.State, func(a, b StateKey) int { return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Key, b.Key)) }) {
		fmt.Fprintf(w, "state of %v %q: %q\n", k.Side, k.Key, p.State[k])
	}
	for _, id := range sorted(p.Messages, cmp.Compare[uint64]) {
		p.Messages[id].Words(w)
	}
	for _, f := range p.Finished.All() {
		fmt.Fprintf(w, "finished %d at %d\n", f.Message.ID, f.At)
	}
	for side := range p.Unproven {
		for _, x := range p.Unproven[side].All() {
			fmt.Fprintf(w, "unproven %d: %v\n", x.N, x.Ref)
		}
	}
	for _, g := range p.Keys.Generations {
		g.words(w)
	}
}

// Words says what a message is.
func (m *Message) Words(w io.Writer) {
	fmt.Fprintf(w, "message %d of %v %q at %d, %d, expires %d, reply %q %v, %d bytes (%d), %d copies, %d keys: ",
		m.ID, m.Origin, m.From, m.At, m.Ran, m.Expires, m.Reply, m.Receipt, m.Size, m.Cut, m.Copies, m.Keys)
	fmt.Fprintf(w, "open %d, dead %d, dropped %d, unproven %d, answers %d from %d, reason %q, delayed %v, bounced %v, over %v\n",
		m.Open, m.Dead, m.Dropped, m.Unproven, m.Answers, m.Base, m.Reason, m.Delayed, m.Bounced, m.Over)
	for _, d := range m.Deliveries {
		if d != nil && !d.Gone { // nothing can happen to one that is gone
			d.words(w)
		}
	}
}

func (d *Delivery) words(w io.Writer) {
	put := PutOff{}
	if d.Put != nil {
		put = *d.Put
	}
	fmt.Fprintf(w, "  %d: %v kind %d to %v %q in %q, note %s, put off %d %d, bound %d %q, dead %v\n",
		d.Seq, d.Ref(), d.Kind, d.Side, d.To, d.Lane, NoteText(d.Note), put.Attempts, put.Waited, d.Order, d.Binding, d.Dead)
}

func (g *Generation) words(w io.Writer) {
	sum := sha256.New()
	for _, keys := range g.keys {
		for _, k := range slices.SortedFunc(maps.Keys(keys), func(a, b message.Key) int { return slices.Compare(a[:], b[:]) }) {
			fmt.Fprintln(sum, k, keys[k])
		}
	}
	fmt.Fprintf(w, "keys %d: from %d to %d, %d moved, %d, %.8x\n", g.N, g.Began, g.Ended, g.Moved, g.Count(), sum.Sum(nil))
	for _, msg := range sorted(g.Failed, cmp.Compare[uint64]) {
		fmt.Fprintf(w, "failed %d: %q\n", msg, g.Failed[msg])
	}
}

func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}
