package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary notes what happened, in order.
type diary struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// worker runs until it is told to stop, and needs some time for that.
func (d *diary) worker(name string, drain time.Duration) part {
	return part{name, func(ctx context.Context) error {
		<-ctx.Done()
		d.note(name + " stops")
		time.Sleep(drain) // in a bubble: work that takes this long
		d.note(name + " ended")
		return nil
	}}
}

var errBroken = errors.New("broken")

func TestGroup(t *testing.T) {
	const second = time.Second
	broken := func(after time.Duration) part {
		return part{"broken", func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(after):
				return errBroken
			}
		}}
	}
	quitter := part{"quitter", func(context.Context) error { return nil }}
	rude := part{"rude", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	for name, tt := range map[string]struct {
		stages func(*diary) [][]part
		stop   time.Duration // the context ends after it
		force  time.Duration // a second signal comes after it; 0: none
		fatal  time.Duration
		want   error
		says   string
		took   time.Duration
		lines  []string
	}{
		"stages stop one after the other": {
			stages: func(d *diary) [][]part {
				return [][]part{{d.worker("mqtt", 2*second), d.worker("xmpp", 3*second)}, {d.worker("bridge", second)}, {d.worker("admin", 0)}}
			},
			stop: second, took: 5 * second,
			lines: []string{"mqtt ended", "xmpp ended", "bridge stops", "bridge ended", "admin stops", "admin ended"},
		},
		"a context error is no failure": {
			stages: func(*diary) [][]part { return [][]part{{rude}} }, stop: second, took: second,
		},
		"a failure stops the rest in order": {
			stages: func(d *diary) [][]part {
				return [][]part{{d.worker("mqtt", 2*second)}, {d.worker("bridge", second), broken(4 * second)}, {d.worker("admin", 0)}}
			},
			stop: time.Hour, took: 7 * second, want: errBroken, says: "broken: broken",
			lines: []string{"mqtt stops", "mqtt ended", "bridge stops", "bridge ended", "admin stops", "admin ended"},
		},
		"who ends by itself has failed": {
			stages: func(d *diary) [][]part { return [][]part{{quitter}, {d.worker("bridge", second)}} },
			stop:   time.Hour, took: second, says: "quitter: ended by itself", lines: []string{"bridge stops", "bridge ended"},
		},
		"the grace has an end": {
			stages: func(d *diary) [][]part { return [][]part{{d.worker("mqtt", time.Hour)}, {d.worker("bridge", 0)}} },
			stop:   second, took: 16 * second, want: errForced, says: "after 15s", lines: []string{"mqtt stops"},
		},
		"it has after a failure too": {
			stages: func(d *diary) [][]part { return [][]part{{d.worker("mqtt", time.Hour)}, {broken(second)}} },
			stop:   time.Hour, took: 16 * second, want: errForced, says: "broken: broken", lines: []string{"mqtt stops"},
		},
		"a second signal": {
			stages: func(d *diary) [][]part { return [][]part{{d.worker("mqtt", time.Hour)}} },
			stop:   second, force: 3 * second, took: 3 * second, want: errForced, says: "second signal", lines: []string{"mqtt stops"},
		},
		"the journal breaks": {
			stages: func(d *diary) [][]part { return [][]part{{d.worker("mqtt", second)}} },
			stop:   time.Hour, fatal: 2 * second, took: 2 * second, want: errBroken,
		},
		"the journal breaks in the drain": {
			stages: func(d *diary) [][]part { return [][]part{{d.worker("mqtt", 9*second)}} },
			stop:   second, fatal: 3 * second, took: 3 * second, want: errBroken, lines: []string{"mqtt stops"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, begun := &diary{}, time.Now()
				force, fatal := make(chan struct{}), make(chan error, 1)
				if tt.force > 0 {
					time.AfterFunc(tt.force, func() { close(force) })
				}
				if tt.fatal > 0 {
					time.AfterFunc(tt.fatal, func() { fatal <- errBroken })
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.stop)
				defer cancel()
				l := group{tt.stages(d), stopPolicy{grace: 15 * second, force: force, fatal: fatal}}
				err := l.run(ctx)
				if took := time.Since(begun); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if (err == nil) != (tt.want == nil && tt.says == "") || tt.want != nil && !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want %v, %q", err, tt.want, tt.says)
				}
				d.mu.Lock()
				got := slices.Clone(d.lines)
				d.mu.Unlock()
				if len(tt.lines) == 6 && tt.lines[0] == "mqtt ended" { // both sides stop at once: either first
					got = slices.DeleteFunc(got, func(s string) bool { return s == "mqtt stops" || s == "xmpp stops" })
				}
				if !slices.Equal(got, tt.lines) {
					t.Errorf("diary %q\nwant  %q", got, tt.lines)
				}
				cancel() // what was left behind ends with the bubble
				time.Sleep(2 * time.Hour)
			})
		})
	}
}
