package sqlite

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/message"

	gocmp "github.com/google/go-cmp/cmp"
)

// words is what the tables keep of a picture.
func words(p *picture.Picture) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%v %v %v %+v %d keys, lease %d, ran %d, pinned %d\n", p.Counts, p.Pending, p.Open, p.Dead, p.Keys.All, p.Lease, p.Head.Ran, p.Pinned)
	var open []*picture.Delivery
	failed := map[uint64]string{}
	for _, m := range p.Messages {
		for _, d := range m.Deliveries {
			if d != nil && !d.Gone {
				open = append(open, d)
			}
		}
	}
	for _, g := range p.Keys.Generations {
		fmt.Fprintf(&out, "keys %d: %d\n", g.N, g.Count())
		for msg := range g.Failed {
			failed[msg], _ = p.Keys.Failure(msg)
		}
	}
	slices.SortFunc(open, func(a, b *picture.Delivery) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, d := range open {
		m := d.Message
		fmt.Fprintf(&out, "%d: %v kind %d for %s in %q, bound %d %q, dead %v, put off %d, note %s; message of %s: open %d, dead %d, dropped %d, answers %d from %d, delayed %v, unproven %d, %q\n",
			d.Seq, d.Ref(), d.Kind, d.To, d.Lane, d.Order, d.Binding, d.Dead, d.Attempts(), picture.NoteText(d.Note), m.From,
			m.Open, m.Dead, m.Dropped, m.Answers, m.Base, m.Delayed, m.Unproven, m.Reason)
	}
	for _, m := range byID(p.Messages) {
		fmt.Fprintf(&out, "%d: bounced %v, over %v, %d keys, %d bytes\n", m.ID, m.Bounced, m.Over, m.Keys, m.BodySize())
	}
	finished := map[uint64]bool{}
	for _, f := range p.Finished.All() {
		finished[f.Message.ID] = true
	}
	fmt.Fprintf(&out, "failed %v, state %q, seq %d, bindings %d, finished %v, %d bytes\n", failed, p.State, p.Seq, p.Bindings, finished, p.FinishedBytes)
	for side := range p.Unproven {
		for _, x := range p.Unproven[side].All() {
			fmt.Fprintf(&out, "unproven %d: %v\n", x.N, x.Ref)
		}
	}
	return out.String()
}

// world throws facts at a picture.
type world struct {
	rnd   *rand.Rand
	p     *picture.Picture
	next  uint64
	proof uint64
	refs  []bridge.Ref
}

func (w *world) ref() bridge.Ref {
	if len(w.refs) == 0 {
		return bridge.Ref{Msg: 999}
	}
	return w.refs[max(0, len(w.refs)-1-w.rnd.IntN(20))]
}

func (w *world) took() picture.Fact {
	w.next++
	f := &picture.Took{ID: w.next, Origin: bridge.SideID(1 + w.rnd.IntN(2)), From: fmt.Sprint("1", w.rnd.IntN(3)), Body: fmt.Append(nil, "body ", w.next), Via: 7}
	if w.rnd.IntN(2) == 0 {
		f.Reply, f.Receipt = "someone\x00id", true
	}
	for n := range 1 + w.rnd.IntN(3) {
		f.Keys = append(f.Keys, message.Key{byte(w.next), byte(w.next >> 8), byte(n), 1})
		d := bridge.Delivery{Side: bridge.MQTT, Kind: bridge.KindCopy, To: fmt.Sprint("2", n), Lane: f.From + "\x00" + fmt.Sprint("2", n)}
		if w.rnd.IntN(3) == 0 {
			d.Note.Post = &bridge.Post{Room: "team"}
		}
		f.Deliveries = append(f.Deliveries, d)
		w.refs = append(w.refs, bridge.Ref{Msg: w.next, Delivery: uint16(n)}, bridge.Ref{Msg: w.next, Delivery: uint16(len(f.Deliveries) + w.rnd.IntN(9))})
	}
	return f
}

func (w *world) fact() picture.Fact {
	why := bridge.Refuse(fmt.Sprint("why", w.rnd.IntN(3)), "no")
	switch w.rnd.IntN(19) {
	case 0, 1, 2:
		return w.took()
	case 3:
		w.next++
		return &picture.Answered{ID: w.next, Origin: bridge.MQTT, From: "1", Body: []byte("x"), Deliveries: []bridge.Delivery{picture.Notice("1", bridge.Note{Status: "failed"}, 5)}}
	case 4:
		return &picture.Delayed{Msg: w.ref().Msg}
	case 5:
		return &picture.PutOff{Ref: w.ref(), Attempts: uint32(w.rnd.IntN(9)), Until: 7, Reason: "busy"}
	case 6, 7:
		return &picture.Bound{Ref: w.ref(), Binding: fmt.Append(nil, w.rnd.IntN(100))}
	case 8:
		return &picture.Unbound{Ref: w.ref()}
	case 9, 10:
		f := &picture.Closed{Ref: w.ref(), CancelDelayed: w.rnd.IntN(2) == 0}
		if w.rnd.IntN(2) == 0 {
			w.proof++
			f.Unproven = w.proof
		}
		return f
	case 11:
		return &picture.Closed{Ref: w.ref(), Why: why, Body: map[bool][]byte{true: []byte("cut")}[w.rnd.IntN(2) == 0]}
	case 12:
		return &picture.Bounced{Ref: w.ref(), Why: why}
	case 13:
		return &picture.Confirmed{Side: bridge.MQTT, UpTo: w.proof - min(w.proof, uint64(w.rnd.IntN(5)))}
	case 14:
		return &picture.StateSet{Side: bridge.MQTT, Key: fmt.Sprint(w.rnd.IntN(4)), Value: map[bool][]byte{true: []byte("v")}[w.rnd.IntN(2) == 0]}
	case 15:
		return &picture.Requeued{Ref: w.ref()}
	case 16:
		return &picture.Dropped{Ref: w.ref()}
	case 17:
		f := &picture.Forgot{}
		for i := range min(w.p.Finished.Len(), w.rnd.IntN(4)) {
			f.Messages = append(f.Messages, w.p.Finished.At(i).Message.ID)
		}
		return f
	}
	return &picture.Learned{Msg: w.ref().Msg, Origin: bridge.XMPP, Keys: []message.Key{{byte(w.rnd.IntN(100)), 9}}}
}

// What is saved of many frames at once is what they have made, and what a start finds; and the frames that come then make of that
// what they make of the picture that goes on.
func TestSaveOfManyFrames(t *testing.T) {
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		tables := openTables(t, "")
		p, err := tables.Load(func(at, _ int64) int64 { return at })
		must(t, err)
		w := &world{rnd: rnd, p: p}
		twin, err := tables.Load(func(at, _ int64) int64 { return at })
		must(t, err)
		var unsaved *picture.Changes
		for range 200 {
			facts := []picture.Fact{&picture.Rules{Sent: true, Delayed: true, Failed: true}}
			switch n := rnd.IntN(20); {
			case n == 0 && len(p.Keys.Generations) > 2:
				facts = append(facts, &picture.Rotated{Drop: 1, Aged: rnd.IntN(2)})
			case n == 0:
				facts = append(facts, &picture.Rotated{})
			case n == 1 && unsaved == nil: // what is dead is read of the tables: all has to be there
				ref := w.ref()
				if read, err := tables.ReadDead([]bridge.Ref{ref}); err != nil {
					t.Fatal(err)
				} else if d := read[ref.Msg]; d != nil && len(d.Dead) > 0 && p.Messages[ref.Msg] == nil {
					d.Ran = d.At
					facts = append(facts, &d.Recalled, &picture.Requeued{Ref: bridge.Ref{Msg: ref.Msg, Delivery: d.Dead[0].Num}, Keys: d.Known})
				}
			default:
				for range 1 + rnd.IntN(4) {
					facts = append(facts, w.fact())
				}
			}
			n := int64(p.Head.N) + 1
			h, again, err := picture.Decode(picture.Encode(nil, picture.Head{N: uint64(n), At: n, Ran: n}, facts))
			must(t, err)
			twin.Apply(h, again)
			c := p.Apply(h, facts)
			if want, has := words(p), words(twin); want != has {
				t.Fatalf("seed %d, frame %d on what a start has found: %s", seed, n, gocmp.Diff(want, has))
			}
			if unsaved == nil {
				unsaved = c
			} else {
				unsaved.Add(c)
			}
			if rnd.IntN(5) > 0 {
				continue
			}
			if rnd.IntN(2) == 0 {
				unsaved.Compact()
			}
			must(t, saveNow(tables, p, unsaved, 0))
			unsaved = nil
			got, err := tables.Load(func(at, _ int64) int64 { return at })
			must(t, err)
			if want, has := words(p), words(got); want != has {
				t.Fatalf("seed %d, frame %d: %s", seed, n, gocmp.Diff(want, has))
			}
			twin = got
		}
	}
}
