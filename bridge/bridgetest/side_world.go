package bridgetest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"time"

	"chatrelay/bridge"
)

// sideWorld is a case at work.
type sideWorld struct {
	SideRig
	m   *Memory
	run *sideRun
}

// sideLife is one run of a Side, with a dispatcher.
type sideRun struct {
	bridge.Side
	journal *SideJournal
	cancel  context.CancelFunc // ends Run; the dispatcher goes on until it has returned
	ran     chan struct{}
	done    chan struct{}
	err     error // of Run; read after ran
}

// start begins a run.
func (w *sideWorld) start() error {
	d := w.m.SideJournal()
	s, err := w.New(d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	dispatching, end := context.WithCancel(context.Background())
	l := &sideRun{Side: s, journal: d, cancel: cancel, ran: make(chan struct{}), done: make(chan struct{})}
	go func() { defer close(l.ran); defer end(); l.err = s.Run(ctx, d) }() // stop waits for both
	go func() { defer close(l.done); d.Dispatch(dispatching, s); <-l.ran }()
	w.run = l
	return nil
}

// stop ends a run and tells what Run said.
func (w *sideWorld) stop() error {
	if w.run == nil {
		return nil
	}
	l := w.run
	w.run = nil
	l.cancel()
	select {
	case <-l.done:
	case <-time.After(w.m.waitLimit()):
		return errors.New("neither Run nor Send may stay when its context ends")
	}
	if l.err != nil {
		return fmt.Errorf("from Run: %w", l.err)
	}
	if up, _ := l.Up(); up {
		return errors.New("it says Up after Run has returned")
	}
	return nil
}

// restart ends a run in good order and waits for the next one's login: what ejabberd stores while a login empties
// its store it may lose (docs/GUARANTEES.md).
func (w *sideWorld) restart() error {
	if err := w.stop(); err != nil {
		return err
	}
	if err := w.start(); err != nil {
		return err
	}
	return w.up(true)
}

// kill ends a run as kill -9 does: what it would still write or store goes nowhere.
func (w *sideWorld) kill() error {
	w.Refuse(true)
	w.m.Crash()
	w.Cut()
	err := w.stop()
	w.Refuse(false)
	return err
}

// up waits until the side says that it is, or is not.
func (w *sideWorld) up(want bool) error {
	return poll(w.m.waitLimit(), fmt.Sprintf("Up never says %v", want), func() bool {
		up, why := w.run.Up()
		return up == want && (up || why != "")
	})
}

// poll asks again and again, for conditions that nothing signals.
func poll(limit time.Duration, what string, cond func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(limit)
	defer late.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late.C:
			return errors.New(what)
		}
	}
	return nil
}

// end stops what runs and looks for goroutines left behind.
func (w *sideWorld) end() error {
	w.m.Hold(false)
	w.m.Fail(nil)
	if err := w.stop(); err != nil {
		return err
	}
	if len(w.Quiet) == 0 {
		return nil
	}
	var left string
	if err := poll(w.m.waitLimit(), "goroutines are left", func() bool { left = goroutinesOf(w.Quiet); return left == "" }); err != nil {
		return fmt.Errorf("%w:\n%s", err, left)
	}
	return nil
}

var testGoroutine = regexp.MustCompile(`testing\.tRunner|bridgetest\.SideRig`)

// goroutinesOf lists goroutines that are in one of the packages and were not started by a test.
func goroutinesOf(packages []string) string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		for _, p := range packages {
			if strings.Contains(g, p) && !testGoroutine.MatchString(g) {
				return g
			}
		}
	}
	return ""
}

func (w *sideWorld) body(word string, n int) string {
	return fmt.Sprintf(`{"chatType":1,"content":"%s %d","contentType":0,"from":"%s","to":"%s","timeStamp":%d}`,
		word, n, w.Far, w.Near, 1700000000000+n)
}

// inject sends n messages, numbered from first.
func (w *sideWorld) inject(word string, first, n int) error {
	var bodies []string
	for i := range n {
		bodies = append(bodies, w.body(word, first+i))
	}
	return w.Inject(bodies...)
}

func (w *sideWorld) add(word string, first, n int) (refs []bridge.Ref) {
	for i := range n {
		refs = append(refs, w.m.Add(w.Kind, w.From, w.To, w.body(word, first+i)))
	}
	return refs
}

func (w *sideWorld) taken(n int) error {
	return w.m.Await(fmt.Sprintf("%d taken", n), func(s Sum) bool { return s.Taken >= n })
}

func (w *sideWorld) takenBodies() (out []string) {
	for _, in := range w.m.Taken() {
		out = append(out, string(in.Body))
	}
	return out
}

// exactly holds what came against n bodies of one word, each once, in order.
func (w *sideWorld) exactly(what, word string, n int, got []string) error {
	lost, doubled, disorder := tally(got, n, func(i int) string { return w.body(word, i) })
	if lost+doubled+disorder > 0 {
		return fmt.Errorf("%s: of %d: %d lost, %d doubled, %d out of order", what, n, lost, doubled, disorder)
	}
	return nil
}

func tally(got []string, n int, body func(int) string) (lost, doubled, disorder int) {
	number := map[string]int{}
	for i := range n {
		number[body(i)] = i
	}
	seen, last := map[int]bool{}, -1
	for _, g := range got {
		i, ok := number[g]
		switch {
		case !ok: // of another word
		case seen[i]:
			doubled++
		default:
			if i < last {
				disorder++
			}
			seen[i], last = true, i
		}
	}
	return n - len(seen), doubled, disorder
}
