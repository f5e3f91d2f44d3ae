package journal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"chatrelay/bridge"
)

const (
	childDir   = "JOURNAL_TEST_CHILD_DIR"
	childRound = "JOURNAL_TEST_CHILD_ROUND"
)

// TestChild is the process that TestKill kills. It says on its output what was acknowledged.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("only as a child of TestKill")
	}
	o := options(dir)
	o.Notices = bridge.Notices{}
	j, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	say := func(what string, id any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%s %v\n", what, id)
	}
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", os.Getenv(childRound), w, i)
				if err := j.Append(context.Background(), []*bridge.Record{direct(bridge.XMPP, fmt.Sprint(w), "1002", id)}); err != nil {
					t.Error(err)
					return
				}
				say("took", id)
			}
		}()
	}
	for {
		out, err := j.Next(context.Background(), bridge.MQTT)
		if err != nil {
			t.Fatal(err)
		}
		ticket := j.Bind(out.Ref, out.Body)
		if err := j.Wait(context.Background(), ticket); err != nil {
			t.Fatal(err)
		}
		say("bound", string(out.Body))
		if out.Ref.Msg%3 == 0 {
			continue // stays on the wire
		}
		j.Settle(bridge.Result{Ref: out.Ref})
		if err := j.Wait(context.Background(), j.SetState(bridge.MQTT)); err != nil {
			t.Fatal(err)
		}
		say("closed", string(out.Body))
	}
}

// TestKill kills a writing process again and again. What it had acknowledged is there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	reported := map[string]map[string]bool{"took": {}, "bound": {}, "closed": {}}
	for round := range 5 {
		runAndKill(t, dir, round, reported, func() {})
		checkKilled(t, dir, reported)
	}
}

// runAndKill lets a child write for a while; before is called when it is time to kill it.
func runAndKill(t *testing.T, dir string, round int, reported map[string]map[string]bool, before func()) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	c.Env = append(os.Environ(), childDir+"="+dir, childRound+"="+strconv.Itoa(round))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	lines := bufio.NewReader(out)
	most := 40 + rand.IntN(100)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // a line that was cut was not reported
		}
		must(t, err)
		what, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case reported[what] != nil:
			reported[what][id] = true
		case n <= most:
			t.Fatalf("the child says %q", line)
		}
		if n == most {
			before()
			must(t, c.Process.Kill())
		}
	}
	if err := c.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}

func checkKilled(t *testing.T, dir string, reported map[string]map[string]bool) {
	t.Helper()
	o := options(dir)
	o.Notices = bridge.Notices{}
	b := openTest(t, o)
	defer b.end()
	b.sum()
	deliveries, err := b.Bound(t.Context(), bridge.MQTT)
	must(t, err)
	inflight := map[string]bool{}
	for _, l := range deliveries {
		inflight[string(l.Binding)] = true
		if string(l.Binding) != string(l.Body) {
			t.Errorf("%q is bound as %q", l.Body, l.Binding)
		}
	}
	var recs []*bridge.Record
	for id := range reported["took"] {
		w := strings.Split(id, "-")[1]
		r := direct(bridge.XMPP, w, "1002", id)
		r.Redelivered = true
		recs = append(recs, r)
	}
	b.append(recs...)
	for _, r := range recs {
		if r.Outcome != bridge.OutcomeDuplicate {
			t.Errorf("%s was acknowledged, and is not known", r.Body)
		}
	}
	for id := range reported["bound"] {
		if !reported["closed"][id] && !inflight[id] && !closedSilently(b, id) {
			t.Errorf("%s was bound, and is not", id)
		}
	}
	for id := range reported["closed"] {
		if inflight[id] {
			t.Errorf("%s was closed, and is bound", id)
		}
	}
	waits := map[string]bool{}
	for {
		b.mu.Lock()
		d, _ := b.Journal.next(b.ready[bridge.MQTT])
		b.mu.Unlock()
		if d == nil {
			break
		}
		body, err := b.body(t.Context(), d.Message)
		must(t, err)
		if waits[string(body)] || reported["bound"][string(body)] {
			t.Errorf("%s comes twice", body)
		}
		waits[string(body)] = true
	}
	for id := range reported["took"] {
		if !waits[id] && !inflight[id] && !reported["closed"][id] && !closedSilently(b, id) {
			t.Errorf("%s is lost", id)
		}
	}
}

// closedSilently: its close was committed, but the process did not get to say so.
func closedSilently(b *testJournal, id string) bool {
	var n int
	b.ask(&n, "SELECT count(*) FROM messages m WHERE body = ? AND NOT EXISTS (SELECT 1 FROM legs WHERE msg = m.id)", []byte(id))
	return n == 1
}
