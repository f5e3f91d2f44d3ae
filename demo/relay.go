package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"chatrelay/test/process"
)

const (
	relayReady = 30 * time.Second // from start to /readyz
	relayStop  = 15 * time.Second // from SIGTERM to SIGKILL: its drain time and some
	askTimeout = 2 * time.Second
)

// relay runs ./cmd/chatrelay again and again, each time with the same journal.
type relay struct {
	binary   string
	env      []string
	dir      string
	httpAddr string

	mu  sync.Mutex       // guards run
	run *process.Process // nil: never started
}

// newRelay takes the settings by their names without prefix.
func newRelay(binary, dir string, settings map[string]string) (*relay, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	r := &relay{binary: binary, dir: dir, httpAddr: addr}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CHATRELAY_") { // it is strict about names that it does not know
			r.env = append(r.env, v)
		}
	}
	for name, value := range settings {
		r.env = append(r.env, "CHATRELAY_"+name+"="+value)
	}
	r.env = append(r.env, "CHATRELAY_HTTP_ADDR="+addr)
	return r, nil
}

// Start runs it and waits until it is ready.
func (r *relay) Start(ctx context.Context) error {
	run, err := r.launch()
	if err != nil {
		return fmt.Errorf("start chatrelay: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, relayReady)
	defer cancel()
	err = until(ctx, func(ctx context.Context) error {
		if !run.Running() {
			return errFinal{errors.New("it ended at once")}
		}
		return r.ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("start chatrelay: %w\n%s", err, r.Log())
	}
	return nil
}

// launch runs it; when it runs already nothing happens.
func (r *relay) launch() (*process.Process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil && r.run.Running() {
		return r.run, nil
	}
	cmd := exec.Command(r.binary)
	cmd.Env, cmd.Dir = r.env, r.dir
	run, err := process.Start(cmd, r.logFile())
	if err == nil {
		r.run = run
	}
	return run, err
}

// Stop ends it in good order; Kill ends it as a power cut would.
func (r *relay) Stop() error { return r.end(syscall.SIGTERM) }

// Kill ends it with SIGKILL.
func (r *relay) Kill() error { return r.end(syscall.SIGKILL) }

func (r *relay) end(sig syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == nil {
		return nil
	}
	return r.run.End(sig, relayStop)
}

// State is ready, starting or stopped.
func (r *relay) State(ctx context.Context) string {
	r.mu.Lock()
	alive := r.run != nil && r.run.Running()
	r.mu.Unlock()
	switch {
	case !alive:
		return "stopped"
	case r.ready(ctx) != nil:
		return "starting"
	}
	return "ready"
}

// URL is where it answers over HTTP.
func (r *relay) URL(path string) string { return "http://" + r.httpAddr + path }

// Log is the end of what it has logged.
func (r *relay) Log() string {
	b, err := os.ReadFile(r.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4096):])
}

func (r *relay) logFile() string { return filepath.Join(r.dir, "chatrelay.log") }

func (r *relay) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL("/readyz"), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", res.Status)
	}
	return nil
}

// relays are all that run, as the page's one switch has them.
type relays []*relay

// State is that of the first that is not ready.
func (rs relays) State(ctx context.Context) string {
	for _, r := range rs {
		if state := r.State(ctx); state != "ready" {
			return state
		}
	}
	return "ready"
}

// Kill ends them as a power cut would.
func (rs relays) Kill() error {
	var errs []error
	for _, r := range rs {
		errs = append(errs, r.Kill())
	}
	return errors.Join(errs...)
}

// launch runs those that do not run.
func (rs relays) launch() error {
	var errs []error
	for _, r := range rs {
		_, err := r.launch()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
