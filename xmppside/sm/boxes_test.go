package sm

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// filled is an outbox that wrote n tagged stanzas after number base.
func filled(base uint64, n int) *outbox {
	o := &outbox{acked: base, top: base, sent: base}
	for range n {
		o.add([]byte("<m/>"), "x")
	}
	o.take(nil, 0, 1<<20, true, false)
	return o
}

func TestOutboxAck(t *testing.T) {
	const edge = math.MaxUint32
	cases := []struct {
		name string
		o    *outbox
		h    uint32
		done int
		bad  bool
	}{
		{"nothing new", filled(5, 3), 5, 0, false},
		{"some", filled(5, 3), 7, 2, false},
		{"all", filled(5, 3), 8, 3, false},
		{"older", filled(5, 3), 4, 0, false},
		{"one too many", filled(5, 3), 9, 0, true},
		{"below the edge", filled(edge-1, 3), edge, 1, false},
		{"over the edge", filled(edge-1, 3), 1, 3, false},
		{"at the edge", filled(edge-1, 3), 0, 2, false},
		{"too many over the edge", filled(edge-1, 3), 2, 0, true},
		{"second time round", filled(3*(edge+1)-1, 2), 1, 2, false},
		{"half the circle ahead", filled(0, 1), 1 << 31, 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			done, err := c.o.ack(c.h)
			if len(done) != c.done || errors.Is(err, ErrProtocol) != c.bad {
				t.Errorf("got %d, %v; want %d", len(done), err, c.done)
			}
		})
	}
}

func TestOutboxAckKnowsWhatWasWritten(t *testing.T) {
	o := filled(0, 1)
	o.add([]byte("<m/>"), "y") // queued, not written
	if _, err := o.ack(2); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v for a stanza that never left", err)
	}
}

func numbers(o *outbox) (ns []uint64) {
	for _, it := range o.queue {
		ns = append(ns, it.N)
	}
	return ns
}

func TestOutboxResumed(t *testing.T) {
	const edge = math.MaxUint32
	saved := func(ns ...uint64) *outbox {
		var q []Stanza
		for _, n := range ns {
			q = append(q, Stanza{N: n, Tag: "x"})
		}
		o := newOutbox(q)
		return &o
	}
	gap := filled(5, 3)
	gap.remove(func(it *item) bool { return it.N == 7 })
	gapEnd := filled(5, 3)
	gapEnd.remove(func(it *item) bool { return it.N == 8 })
	cases := []struct {
		name  string
		o     *outbox
		h     uint32
		done  int
		left  []uint64
		moved int
		bad   bool
	}{
		{"nothing arrived", filled(5, 3), 5, 0, []uint64{6, 7, 8}, 0, false},
		{"some arrived", filled(5, 3), 6, 1, []uint64{7, 8}, 0, false},
		{"too high", filled(5, 3), 9, 0, nil, 0, true},
		{"too low", filled(5, 3), 4, 0, nil, 0, true},
		{"over the edge", filled(edge-1, 3), 0, 2, []uint64{edge + 2}, 0, false},
		{"gap by Drop", gap, 5, 0, []uint64{6, 7}, 1, false},
		{"gap by Drop, but it had arrived", gapEnd, 8, 2, nil, 0, false},
		{"saved, gap of untagged ones not arrived", saved(6, 8), 6, 1, []uint64{7}, 1, false},
		{"saved, untagged before the first not arrived", saved(6, 8), 3, 0, []uint64{4, 5}, 2, false},
		{"saved, untagged behind the last arrived", saved(6, 8), 30, 2, nil, 0, false},
		{"saved, over the edge", saved(edge, edge+2), 0, 1, []uint64{edge + 2}, 0, false},
		{"saved, nothing", saved(), 77, 0, nil, 0, false},
		{"saved, before the start of the world", saved(2), math.MaxUint32, 1, nil, 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			done, moved, err := c.o.resumed(c.h)
			if errors.Is(err, ErrProtocol) != c.bad {
				t.Fatalf("error %v", err)
			}
			if c.bad {
				return
			}
			if len(done) != c.done || len(moved) != c.moved || !slices.Equal(numbers(c.o), c.left) {
				t.Errorf("done %d, moved %d, left %v; want %d, %d, %v", len(done), len(moved), numbers(c.o), c.done, c.moved, c.left)
			}
			if got := uint32(c.o.acked); got != c.h {
				t.Errorf("acked %d, want %d", got, c.h)
			}
			if it := c.o.add(nil, nil); uint32(it.N) != c.h+uint32(len(c.left))+1 {
				t.Errorf("next number %d", it.N)
			}
			for _, it := range c.o.queue {
				if it.Maybe {
					t.Errorf("%d may have arrived, though the server says no", it.N)
				}
			}
		})
	}
}

func TestOutboxTake(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		room  int
		want  []int
	}{
		{"up to the size of a write, but at least one", []int{1000, 3000, 200, 9000, 5}, math.MaxInt, []int{4000, 200, 9000, 5, 0}},
		{"up to the room", []int{300, 600, 200}, 1000, []int{900, 200, 0}},
		{"none where there is no room", []int{300, 600}, 300, []int{300, 0}},
		{"one, however large, when none is under way", []int{5000, 10}, 100, []int{5000, 10, 0}},
	} {
		o := &outbox{}
		for i, size := range c.sizes {
			o.add(make([]byte, size), i)
		}
		var writes []int
		for range c.want {
			writes = append(writes, len(o.take(nil, 0, c.room, o.next == 0, false)))
		}
		if !slices.Equal(writes, c.want) {
			t.Errorf("%s: writes of %v, want %v", c.name, writes, c.want)
		}
	}
}

func TestInbox(t *testing.T) {
	b := newInbox(10)
	for n := uint64(11); n <= 15; n++ {
		b.handed = n
		b.finish(n)
	}
	steps := []struct {
		name string
		do   func()
		want uint64
	}{
		{"a later one first", func() { b.saved(12) }, 10},
		{"the gap closes", func() { b.saved(11) }, 12},
		{"twice is once", func() { b.saved(11) }, 12},
		{"done but not saved", func() { b.settle(13) }, 12},
		{"saved behind it covers it", func() { b.saved(14) }, 14},
		{"never handed over", func() { b.settle(16) }, 14},
	}
	for _, s := range steps {
		s.do()
		if got := b.ackable(); got != s.want {
			t.Errorf("%s: ackable %d, want %d", s.name, got, s.want)
		}
	}
}

func TestInboxCut(t *testing.T) {
	b := newInbox(0)
	b.handed = 1
	b.finish(1)
	b.handed = 2 // opened, and the handler was hasty
	b.saved(2)
	b.saved(1)
	if b.doneTo != 1 {
		t.Fatalf("mark %d: a stanza counts that was not read to its end", b.doneTo)
	}
	b.durable = 1 // nothing else may have made it 2
	b.rewind(b.finished + 1)
	if b.handed != 1 || len(b.done) != 0 {
		t.Errorf("handed %d, done %v: the repeat would be skipped", b.handed, b.done)
	}
}
