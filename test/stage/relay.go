package stage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"chatrelay/test/servers"
)

// Relay is the process under test. Its store and its environment outlive its lives.
type Relay struct {
	t      testing.TB
	binary string
	env    map[string]string
	log    string
	http   string // host:port of /readyz and /statusz

	// Besides is environment for the next life that is not the relay's own.
	Besides map[string]string
	// Within is a command that the next life is run by; it ends as the relay itself.
	Within []string

	cmd  *exec.Cmd
	done chan error // how the life ended; capacity 1
}

// NewRelay starts nothing yet. env has names without the CHATRELAY_ prefix.
func NewRelay(t testing.TB, binary string, env map[string]string) *Relay {
	t.Helper()
	dir := t.TempDir()
	r := &Relay{t: t, binary: binary, Besides: map[string]string{}, log: filepath.Join(dir, "relay.log"), http: servers.FreeAddr(t), env: map[string]string{
		"STORE": filepath.Join(dir, "store"), "LOG_FORMAT": "json",
	}}
	r.env["HTTP_ADDR"] = r.http
	for k, v := range env {
		r.env[k] = v
	}
	t.Cleanup(func() {
		r.Kill()
		if err := checkLog(r.log); err != nil && r.env["LOG_FORMAT"] == "json" {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("relay log:\n%s", r.Logged())
		}
	})
	return r
}

// Logged is the start and the end of the relay's log.
func (r *Relay) Logged() string {
	b, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	const most = 8 << 10
	if len(b) > 2*most {
		return string(b[:most]) + "\n…\n" + string(b[len(b)-most:])
	}
	return string(b)
}

// Launch starts the process and does not wait for it to be ready.
func (r *Relay) Launch() {
	r.t.Helper()
	out, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close() // the child has its own
	args := append(append([]string{}, r.Within...), r.binary)
	cmd := exec.Command(args[0], args[1:]...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "CHATRELAY_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	for k, v := range r.env {
		cmd.Env = append(cmd.Env, "CHATRELAY_"+k+"="+v)
	}
	for k, v := range r.Besides {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // ends with the process
	r.cmd, r.done = cmd, done
}

// Start starts the process and waits until it is ready; it says how long that took.
func (r *Relay) Start() time.Duration {
	r.t.Helper()
	began := time.Now()
	r.Launch()
	if err := r.Ready(20 * time.Second); err != nil {
		r.t.Fatalf("relay: %v", err)
	}
	return time.Since(began)
}

// Set changes the environment of the next life; name is without the CHATRELAY_ prefix.
func (r *Relay) Set(name, value string) { r.env[name] = value }

// Run changes the binary of the next life.
func (r *Relay) Run(binary string) { r.binary = binary }

// Twin is a second relay with the same environment, but a status page of its own. It does not run yet.
func (r *Relay) Twin() *Relay {
	r.t.Helper()
	env := maps.Clone(r.env)
	delete(env, "HTTP_ADDR")
	return NewRelay(r.t, r.binary, env)
}

// URL is its status page's.
func (r *Relay) URL() string { return "http://" + r.http }

// Store is the folder of its journal.
func (r *Relay) Store() string { return r.env["STORE"] }

// Pid is the process id, 0 when it does not run.
func (r *Relay) Pid() int {
	if r.cmd == nil {
		return 0
	}
	return r.cmd.Process.Pid
}

// Ended waits until the process has ended by itself and says how. false: it still runs.
func (r *Relay) Ended(within time.Duration) (error, bool) {
	select {
	case err := <-r.done:
		r.cmd = nil
		return err, true
	case <-time.After(within):
		return nil, false
	}
}

// Kill ends it with SIGKILL, if it runs.
func (r *Relay) Kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill() // it may have ended
	<-r.done
	r.cmd = nil
}

// Signal sends it one.
func (r *Relay) Signal(sig syscall.Signal) error { return r.cmd.Process.Signal(sig) }

// Stop ends it with SIGTERM and wants exit code 0.
func (r *Relay) Stop() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("relay: SIGTERM: %v", err)
		}
		r.cmd = nil
	case <-time.After(20 * time.Second):
		r.t.Error("relay: still there 20 s after SIGTERM")
	}
}

// Ready polls /readyz until it says yes.
func (r *Relay) Ready(within time.Duration) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), within)
	defer cancel()
	last := "nothing"
	for {
		code, body, err := r.Get(ctx, "/readyz")
		if err == nil && code == http.StatusOK {
			return nil
		}
		if err == nil {
			last = fmt.Sprint(code, " ", body)
		}
		select {
		case err := <-r.done:
			r.done <- err // for kill
			return fmt.Errorf("ended: %w", errors.Join(err, errors.New("it said "+last)))
		case <-ctx.Done():
			return fmt.Errorf("not ready after %v: it said %s", within, last)
		case <-time.After(10 * time.Millisecond): // a poll's pause
		}
	}
}
