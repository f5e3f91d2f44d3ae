package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
)

// meterRig is a meter before a journal that does nothing.
type meterRig struct {
	*meter
	now      time.Time
	seen     []string
	next     bridge.Outbound
	appended error
}

func newMeterRig() *meterRig {
	r := &meterRig{now: time.Unix(1e9, 0)}
	r.meter = newMeter(func(name string, side bridge.SideID, seconds float64) {
		r.seen = append(r.seen, fmt.Sprintf("%s %s %g", name, side, seconds))
	}, func() time.Time { return r.now })
	return r
}

// What is behind the meter does nothing.
type (
	idleQueue struct {
		bridge.Queue
		r *meterRig
	}
	idleSide     struct{ bridge.SideJournal }
	idleAppender struct {
		bridge.Appender
		r *meterRig
	}
)

func (i idleQueue) Next(context.Context, bridge.SideID) (bridge.Outbound, error) {
	return i.r.next, nil
}
func (idleQueue) Release(bridge.Ref)                      {}
func (idleQueue) Defer(bridge.Ref, time.Duration, string) {}
func (idleQueue) Hold(bridge.Ref, time.Duration, string)  {}
func (idleQueue) ReleaseAfter(bridge.Ref, time.Duration)  {}
func (idleQueue) Settle(...bridge.Result)                 {}

func (idleSide) Bind(bridge.Ref, []byte) uint64 { return 0 }
func (idleSide) Unbind(...bridge.Ref)           {}
func (idleSide) Settle(...bridge.Result)        {}
func (idleSide) Bound(context.Context, bridge.SideID) ([]bridge.BoundDelivery, error) {
	return []bridge.BoundDelivery{{Outbound: bridge.Outbound{Ref: bridge.Ref{Msg: 99}, Kind: bridge.KindChat}}}, nil
}

func (i idleAppender) Append(context.Context, []*bridge.Record) error {
	i.r.now = i.r.now.Add(2 * time.Second)
	return i.r.appended
}

// TestMeter: what is measured of a delivery, however it goes.
func TestMeter(t *testing.T) {
	ref := bridge.Ref{Msg: 7, Delivery: 1}
	settled, dead := bridge.Result{Ref: ref}, bridge.Result{Ref: ref, Err: bridge.Refuse("x", "y")}
	const queued, confirmed = "queue_seconds xmpp 3", "delivery_seconds xmpp 8"
	for name, c := range map[string]struct {
		kind bridge.Kind
		do   func(r *meterRig, q meteredQueue, s meteredSideJournal)
		want []string
		left int // in flight
	}{
		"sent and confirmed": {bridge.KindChat, func(r *meterRig, q meteredQueue, s meteredSideJournal) {
			s.Bind(ref, nil)
			r.now = r.now.Add(5 * time.Second)
			s.Bind(ref, nil) // the next phase
			s.Settle(settled)
			s.Settle(settled)
		}, []string{queued, confirmed}, 0},
		"on the wire": {bridge.KindChat, func(_ *meterRig, _ meteredQueue, s meteredSideJournal) { s.Bind(ref, nil) }, []string{queued}, 1},
		"dead on the wire": {bridge.KindChat, func(_ *meterRig, _ meteredQueue, s meteredSideJournal) {
			s.Bind(ref, nil)
			s.Settle(dead)
		}, []string{queued}, 0},
		"the wire is lost": {bridge.KindChat, func(_ *meterRig, _ meteredQueue, s meteredSideJournal) {
			s.Bind(ref, nil)
			s.Unbind(ref)
			s.Settle(settled)
		}, []string{queued}, 0},
		"buried before":   {bridge.KindChat, func(_ *meterRig, q meteredQueue, _ meteredSideJournal) { q.Settle(dead) }, nil, 0},
		"settled unbound": {bridge.KindChat, func(_ *meterRig, q meteredQueue, _ meteredSideJournal) { q.Settle(settled) }, nil, 0},
		"given back":      {bridge.KindChat, func(_ *meterRig, q meteredQueue, _ meteredSideJournal) { q.Release(ref) }, nil, 0},
		"deferred":        {bridge.KindChat, func(_ *meterRig, q meteredQueue, _ meteredSideJournal) { q.Defer(ref, 0, "") }, nil, 0},
		"held":            {bridge.KindChat, func(_ *meterRig, q meteredQueue, _ meteredSideJournal) { q.Hold(ref, 0, "") }, nil, 0},
		"not tried":       {bridge.KindChat, func(_ *meterRig, q meteredQueue, _ meteredSideJournal) { q.ReleaseAfter(ref, 0) }, nil, 0},
		"a receipt":       {bridge.KindReceipt, func(_ *meterRig, _ meteredQueue, s meteredSideJournal) { s.Bind(ref, nil); s.Settle(settled) }, nil, 0},
		"a receipt goes":  {bridge.KindReceipt, func(_ *meterRig, _ meteredQueue, s meteredSideJournal) { s.Bind(ref, nil) }, nil, 1},
		"of before": {bridge.KindChat, func(_ *meterRig, q meteredQueue, s meteredSideJournal) {
			_, _ = s.Bound(t.Context(), bridge.XMPP)
			q.Release(ref)
		}, nil, 1},
		"of before, settled": {bridge.KindChat, func(_ *meterRig, q meteredQueue, s meteredSideJournal) {
			_, _ = s.Bound(t.Context(), bridge.XMPP)
			q.Release(ref)
			s.Settle(bridge.Result{Ref: bridge.Ref{Msg: 99}})
		}, nil, 0},
		"its commit fails": {bridge.KindChat, func(_ *meterRig, q meteredQueue, s meteredSideJournal) {
			s.Bind(ref, nil)
			_, _ = q.Next(t.Context(), bridge.XMPP)
			q.Release(ref)
		}, []string{queued}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newMeterRig()
			r.next = bridge.Outbound{Ref: ref, Kind: c.kind, Age: 3 * time.Second}
			q, s := meteredQueue{idleQueue{r: r}, r.meter}, meteredSideJournal{idleSide{}, bridge.XMPP, r.meter}
			if _, err := q.Next(t.Context(), bridge.XMPP); err != nil {
				t.Fatal(err)
			}
			c.do(r, q, s)
			if diff := cmp.Diff(c.want, r.seen); diff != "" {
				t.Errorf("measured (-want +got):\n%s", diff)
			}
			if got := r.InFlight(bridge.XMPP); got != c.left || r.InFlight(bridge.MQTT) != 0 {
				t.Errorf("%d in flight, want %d", got, c.left)
			}
			if c.left == 0 && len(r.out) != 0 {
				t.Errorf("it remembers %v", r.out)
			}
		})
	}
}

// TestChosen: what the journal has done to deliveries is a station of each, and a line of the debug log with its number.
func TestChosen(t *testing.T) {
	dir := t.TempDir()
	var said strings.Builder
	m := newMeter(nil, time.Now)
	m.log = zerolog.New(&said)
	var err error
	if m.trace, err = trace.Open(trace.Options{Dir: dir, MaxBytes: 1 << 20, MaxAge: time.Hour, Clock: time.Now}); err != nil {
		t.Fatal(err)
	}
	choices := map[journal.Choice]string{journal.ChosePutAway: "put away ", journal.ChoseProven: "proven ", journal.ChoseUnproved: "bounced no_right", journal.ChoseUnreadable: "dead no_right"}
	for what := range choices {
		m.chosen(what, bridge.Refuse("no_right", "it may not have arrived"), []bridge.Ref{{Msg: uint64(what) + 1}, {Msg: uint64(what) + 1, Delivery: 1}})
	}
	if err := m.trace.Close(); err != nil {
		t.Fatal(err)
	}
	for what, want := range choices {
		number := fmt.Sprint(what + 1)
		found, err := trace.Find(t.Context(), dir, trace.Query{Text: number})
		if err != nil || len(found) != 1 || len(found[0].Stations) != 2 {
			t.Fatalf("%v: %+v", err, found)
		}
		if s := found[0].Stations[1]; string(s.Event)+" "+s.Reason != want || s.Delivery != number+".1" {
			t.Errorf("%+v, want %s", s, want)
		}
		if n := strings.Count(said.String(), `"msg":`+number+`,"ref":"`+number+`.`); n != 2 {
			t.Errorf("%d lines about %s in %s", n, want, said.String())
		}
	}
}

// TestMeterCommit: one measurement a commit, none of one that fails.
func TestMeterCommit(t *testing.T) {
	r := newMeterRig()
	a := meteredAppender{idleAppender{r: r}, r.meter}
	recs := []*bridge.Record{{Origin: bridge.MQTT}, {Origin: bridge.MQTT}}
	err1 := a.Append(t.Context(), recs)
	r.appended = errors.New("no")
	err2 := a.Append(t.Context(), recs)
	if err1 != nil || err2 == nil || !slices.Equal(r.seen, []string{admin.CommitSeconds + " xmpp 2"}) {
		t.Errorf("%v, %v, %q", err1, err2, r.seen)
	}
}
