package journal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/test/sqlfault"

	"github.com/google/go-cmp/cmp"
)

// What people are shown of tables and log is what they are shown of tables that know all, whatever has happened since the last
// checkpoint; beside the running relay, of what a kill has left, and by the relay itself while the tables cannot be written to.
func TestReaderIsExact(t *testing.T) {
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		o := options(t.TempDir())
		f, name := sqlfault.New(t)
		o.driver, o.Sync, o.Clock = name, "os", newClock().Now // no checkpoint by time
		b := openTest(t, o)
		var held, dead []bridge.Ref
		for n := range 120 {
			switch rnd.IntN(9) {
			case 0, 1:
				b.append(direct(bridge.XMPP, fmt.Sprint(1001+n%3), "1009", fmt.Sprint("text ", n)))
			case 2:
				b.append(group("1001", fmt.Sprint("group ", n), "1002", "1003"))
			case 3, 4:
				b.append(direct(bridge.XMPP, "1001", fmt.Sprint(2000+n), fmt.Sprint("more ", n)))
				x := b.next(bridge.MQTT)
				if held = append(held, x.Ref); rnd.IntN(2) == 0 {
					b.bind(x.Ref, fmt.Sprint(n))
				} else if rnd.IntN(2) == 0 {
					b.Defer(x.Ref, time.Hour, "busy")
				}
			case 5, 6, 7:
				if len(held) == 0 {
					continue
				}
				ref := held[0]
				if held = held[1:]; rnd.IntN(2) == 0 {
					b.settle(ref)
				} else {
					b.bury(ref, bridge.Refuse("no", "nobody %d", n))
					dead = append(dead, ref)
				}
			case 8:
				if len(dead) == 0 {
					continue
				}
				if rnd.IntN(2) == 0 {
					_ = b.Requeue(t.Context(), dead[0])
				} else {
					_ = b.Drop(t.Context(), dead[0])
				}
				dead = dead[1:]
			}
			if rnd.IntN(8) == 0 {
				b.compareReader(f, held, dead)
			}
		}
	}
}

// compareReader compares what a reader sees, beside and behind, with what the journal itself shows, which makes a checkpoint.
func (b *testJournal) compareReader(f *sqlfault.Faults, refs ...[]bridge.Ref) {
	b.t.Helper()
	b.sync()
	lacking := sqlfault.NoRoom(b.t)
	type seen struct {
		lists [][]DeliveryInfo
		infos []MessageInfo
		texts []string
	}
	filters := []Filter{{Limit: 1000}, {Dead: true}, {Pending: true, Limit: 7}, {Reason: "no", From: "1001"}, {To: "1002", After: 20}, {Reason: "busy"}}
	type reader interface {
		List(context.Context, Filter) ([]DeliveryInfo, error)
		Show(context.Context, uint64) ([]DeliveryInfo, []byte, error)
		Known(context.Context, uint64) (MessageInfo, error)
	}
	look := func(r reader) (s seen) {
		for _, f := range filters {
			list, err := r.List(b.t.Context(), f)
			must(b.t, err)
			s.lists = append(s.lists, list)
		}
		for _, list := range refs {
			for _, ref := range list {
				found, body, err := r.Show(b.t.Context(), ref.Msg)
				s.lists, s.texts = append(s.lists, found), append(s.texts, fmt.Sprintf("%s %v", body, err))
				m, err := r.Known(b.t.Context(), ref.Msg)
				s.infos, s.texts = append(s.infos, m), append(s.texts, fmt.Sprint(err))
			}
		}
		return s
	}
	lookInto := func(dir string) seen {
		r, err := OpenReadOnly(dir)
		must(b.t, err)
		defer r.Close()
		return look(r)
	}
	got := map[string]seen{"beside": lookInto(b.opt.Dir), "killed": lookInto(copyFolder(b.t, b.opt.Dir))}
	f.Set(func(string, bool) error { return lacking })
	got["itself, without room"] = look(asReader{b.Journal})
	f.Set(nil)
	got["itself"] = look(asReader{b.Journal}) // makes a checkpoint
	want := lookInto(b.opt.Dir)
	for name, got := range got {
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
			b.t.Fatalf("%s: %s", name, diff)
		}
	}
}

type asReader struct{ *Journal }

func (r asReader) Known(ctx context.Context, msg uint64) (MessageInfo, error) {
	return Known(ctx, r.Journal, msg)
}
