package chaos

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatrelay/test/powercut"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// fault is one row of the table.
type fault struct {
	name  string
	short string // the XMPP servers on which it is part of make test; empty: it is not
	rate  int    // messages a second each way; 0: 300
	env   map[string]string

	broker servers.MosquittoConfig
	xmpp   servers.XMPPConfig
	wire   func(*trial, *stage.Stage) map[string]string // puts proxies between
	begin  func(*trial)                                 // before the load

	act func(*trial) // breaks and heals, under load

	settings string        // what makes the servers keep what they acknowledged, or why they cannot
	loses    bool          // they do not: loss and disorder are theirs
	saves    bool          // the broker is killed, and answers before it saves
	bounces  bool          // XMPP senders may be told that there is no room
	losesOn  string        // likewise, on this XMPP server only
	maybe    bool          // duplicates are possible, each one counted as maybe_duplicate
	within   time.Duration // recovery; 0: not measured
	restarts bool          // the relay lives more than once
}

const (
	soon      = time.Second      // recovery after a plain restart of the relay
	afterHeal = 3 * time.Second  // after anything else
	withMAM   = 10 * time.Second // with an archive to read
	ceiling   = 8 * time.Minute  // for one row
	stillness = 15 * time.Second // nothing came for so long: nothing will
	underWay  = 200000           // no limit in practice
)

// trial is one row being run.
type trial struct {
	t   *testing.T
	f   *fault
	s   *stage.Stage
	o   *stage.Oracle
	tr  *stage.Traffic
	mp  *proxy.Proxy // to the broker, where the fault has one
	xp  *proxy.Proxy // to the XMPP server
	ctx context.Context

	heals    []time.Time
	notes    []string
	poison   []*stage.Item
	frames   *scissors // of the proxy before the broker
	tap      *tap      // likewise
	disk     *powercut.Disk
	listener string // the file in which the relay notes what comes in
	clock    string // the file that steps the relay's clock
}

// run is the whole of a row.
func (f *fault) run(t *testing.T, x stage.XMPPServer) {
	f.loses = f.loses || f.losesOn == x.Name
	r := f.set(t, x)
	stop, done := make(chan struct{}), make(chan error, 1)
	rate := f.rate
	if rate == 0 {
		rate = 300
	}
	began := time.Now()
	load, halt := context.WithCancel(r.ctx)
	defer halt()
	go func() { done <- r.tr.Pace(load, rate, stop) }() // waited for below
	r.flow(rate)
	f.act(r)
	r.again()
	close(stop)
	took := time.Since(began)
	defer time.AfterFunc(2*stillness, halt).Stop() // a server that acknowledges nothing holds up nobody
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.drain()
	r.judge(x.Name, took)
}

func (f *fault) set(t *testing.T, x stage.XMPPServer) *trial {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ceiling)
	t.Cleanup(cancel)
	r := &trial{t: t, f: f, o: stage.NewOracle(underWay), ctx: ctx}
	r.o.Archives = f.xmpp.MAM
	broker, xmpp := f.broker, f.xmpp
	if broker.MaxInflight == 0 {
		broker.MaxInflight, broker.MaxQueued = 1000, 1000000
	}
	if xmpp.SMQueue == 0 {
		xmpp.SMQueue = 100000
	}
	env := maps.Clone(f.env)
	if mqtt != "" {
		if env == nil {
			env = map[string]string{}
		}
		env["MQTT_VERSION"] = mqtt
	}
	r.listener = filepath.Join(t.TempDir(), "door")
	p := stage.Plan{Besides: map[string]string{"CHAOS_DOOR": r.listener}, Binary: binary, Start: x.Start, Broker: broker, XMPP: xmpp, Env: env, Heard: r.o, Senders: true}
	if f.wire != nil {
		p.Wire = func(s *stage.Stage) map[string]string { return f.wire(r, s) }
	}
	r.s = stage.New(t, p)
	r.tr = stage.NewTraffic(r.s, r.o)
	if f.begin != nil {
		f.begin(r)
	}
	return r
}

// flow waits until half a second's load has come through.
func (r *trial) flow(rate int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, stillness)
	defer cancel()
	if err := r.o.Relayed(ctx, rate); err != nil {
		r.t.Fatalf("no flow before the fault: %v", err)
	}
}

// pause lets the load run.
func (r *trial) pause(d time.Duration) {
	r.t.Helper()
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
		r.t.Fatal(r.ctx.Err())
	}
}

// healed notes that what was broken is whole from now on.
func (r *trial) healed() { r.heals = append(r.heals, time.Now()) }

func (r *trial) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// say logs with the oracle's time.
func (r *trial) say(format string, args ...any) {
	r.t.Logf("%.2f s: %s", r.o.Age().Seconds(), fmt.Sprintf(format, args...))
}

// check fails the row.
func (r *trial) check(what string, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Errorf("%s: %v", what, err)
	}
}

// again waits until messages that were sent after the last healing have come, and a little longer.
func (r *trial) again() {
	r.t.Helper()
	if len(r.heals) > 0 {
		r.recovered(r.heals[len(r.heals)-1])
	}
	r.pause(time.Second)
}

// recovered waits for the first messages sent after a healing.
func (r *trial) recovered(healed time.Time) {
	r.t.Helper()
	late := time.Now().Add(3 * stillness)
	for {
		if _, ok := r.o.Recovery(healed); ok {
			return
		}
		if time.Now().After(late) {
			r.t.Errorf("no canary that was sent after the healing came in %v", 3*stillness)
			return
		}
		r.pause(20 * time.Millisecond)
	}
}

// flowing waits for anything to arrive in both directions after a moment.
func (r *trial) flowing(since time.Time) {
	r.t.Helper()
	late := time.Now().Add(2 * stillness)
	for {
		if _, ok := r.o.Flow(since); ok {
			return
		}
		if time.Now().After(late) {
			r.t.Errorf("nothing came in %v", 2*stillness)
			return
		}
		r.pause(10 * time.Millisecond)
	}
}

// drain waits for what is under way, and for what may follow it.
func (r *trial) drain() {
	r.t.Helper()
	if err := r.o.Settled(r.ctx, stillness); err != nil {
		r.t.Logf("after the load: %v", err)
	}
	last, cancel := context.WithTimeout(r.ctx, 2*stillness)
	defer cancel()
	if err := r.tr.Send(last, 1); err != nil {
		r.t.Error(err)
	}
	if err := r.o.Settled(r.ctx, 5*time.Second); err != nil {
		r.t.Logf("after the last messages: %v", err)
	}
	if r.f.xmpp.MAM {
		r.check("archives", r.tr.ReadArchives(r.ctx))
	}
}

// judge makes the row and says what is not as promised.
func (r *trial) judge(server string, took time.Duration) {
	r.t.Helper()
	c := r.o.Counts()
	ours := r.ours(c, server)
	row := result{fault: r.f.name, server: server, settings: r.f.settings, counts: c, keeps: !r.f.loses, recovered: r.f.within > 0}
	for _, h := range r.heals {
		d, ok := r.o.Recovery(h)
		row.slowest = max(row.slowest, d)
		row.recovered = row.recovered && ok
		d, _ = r.o.Flow(h)
		row.flow = max(row.flow, d)
	}
	row.keeps = row.keeps && ours == c
	st := r.balance(ours)
	row.maybe = st.Sides["mqtt"].Counts["maybe_duplicate"] + st.Sides["xmpp"].Counts["maybe_duplicate"]
	r.verdict(ours, row)
	if n := r.inverted(); n > 0 {
		r.note("%d out of order already when %s brought them", n, server)
	}
	row.notes, row.ok = r.notes, !r.t.Failed()
	r.t.Logf("%d messages in %v (%.0f/s each way), repeated by senders %d; %+v; %s", c.Sent, took.Round(time.Millisecond),
		float64(c.Sent)/2/took.Seconds(), r.tr.Repeated(), c, st)
	r.t.Log(row)
	report.add(row)
	if r.t.Failed() {
		r.t.Logf("lost: %v\nwrong:\n  %s", r.o.Lost(12), strings.Join(r.o.Wrong(), "\n  "))
	}
	r.s.Relay.Stop()
}

// verdict holds the figures against what is promised.
func (r *trial) verdict(c stage.Counts, row result) {
	r.t.Helper()
	lost, dup := c.LostM+c.LostX, c.DupM+c.DupX
	if row.server != "prosody" { // that brings all in order
		c.DisorderM = max(0, c.DisorderM-r.inverted()) // what is left is the relay's
	}
	if r.f.bounces { // those were answered, not acknowledged by us
		c.Untold, c.Bounced = c.Untold-c.Bounced, 0
	}
	if !r.f.loses && lost+c.DisorderM+c.DisorderX+c.Bounced+c.Failed+c.Untold > 0 {
		r.t.Errorf("lost to MQTT %d, to XMPP %d, bounced %d, failed %d, out of order at MQTT %d, at XMPP %d, senders not told %d",
			c.LostM, c.LostX, c.Bounced, c.Failed, c.DisorderM, c.DisorderX, c.Untold)
	}
	if c.Phantom > 0 || c.Echo > 0 && !r.f.loses {
		r.t.Errorf("phantoms %d, echoes %d", c.Phantom, c.Echo)
	}
	for _, it := range r.poison {
		if reason := r.o.Reason(it); reason == "" {
			r.t.Errorf("the sender of a poison message was not told why it failed")
		}
	}
	switch {
	case dup > 0 && !r.f.maybe:
		r.t.Errorf("duplicates at MQTT %d, at XMPP %d", c.DupM, c.DupX)
	case int64(dup) > row.maybe:
		r.t.Errorf("duplicates at MQTT %d, at XMPP %d, and only %d counted as maybe", c.DupM, c.DupX, row.maybe)
	}
	switch {
	case r.f.within == 0:
	case !row.recovered:
		r.t.Error("it did not recover from each fault")
	case row.slowest > length(r.f.within, 5*r.f.within): // make test is no stopwatch: its machine is anybody's
		r.t.Errorf("recovery took %v, want %v", row.slowest, r.f.within)
	case row.flow > length(afterHeal, 5*afterHeal):
		r.t.Errorf("nothing came for %v, want %v", row.flow, afterHeal)
	}
}

// balance holds /statusz against the oracle (DESIGN 5.4).
func (r *trial) balance(c stage.Counts) stage.Status {
	r.t.Helper()
	st := r.s.Relay.Balanced()
	m, x := st.Sides["mqtt"], st.Sides["xmpp"]
	poison := int64(len(r.poison))
	if !r.f.loses {
		if got, want := m.Counts["delivered"]+m.Counts["dead"], int64(c.AckedM); got != want {
			r.t.Errorf("/statusz: delivered and dead from MQTT %d, the oracle has %d", got, want)
		}
		if got, want := x.Counts["delivered"]+x.Counts["dead"], int64(c.Acked-c.AckedM-c.Bounced); got != want {
			r.t.Errorf("/statusz: delivered and dead from XMPP %d, the oracle has %d", got, want)
		}
	}
	if st.Counts["refused"] != 0 || st.Counts["dead"] != poison {
		r.t.Errorf("/statusz: refused %d, dead %d, want 0, %d", st.Counts["refused"], st.Counts["dead"], poison)
	}
	if !r.f.restarts {
		for name, side := range st.Sides {
			if side.Offered != side.Counts["received"] {
				r.t.Errorf("/statusz: %s: %d offered, received %d", name, side.Offered, side.Counts["received"])
			}
		}
	}
	return st
}
