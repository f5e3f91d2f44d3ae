package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	readyTimeout = 30 * time.Second // from exec to the first good answer
	stopTimeout  = 20 * time.Second // from SIGTERM to SIGKILL
	logTail      = 12 << 10         // bytes of log shown for a failure
)

// command is how a server is run.
type command struct {
	name    string // for messages: mosquitto, prosody, ejabberd
	pkg     string // Debian package that has the binary
	binary  string
	args    []string
	env     []string
	logFile string
	ready   func(context.Context) error // one try at talking to it
	// waitLimit is how long the first good answer may take; 0: readyTimeout.
	waitLimit time.Duration
}

// process runs a command again and again.
type process struct {
	cmd  command
	fail func(error) // told of every error too; nil outside tests

	mu   sync.Mutex // guards run
	run  *running   // nil: not started
	ends []func()   // in reverse order, when the server is given up
}

// running is one life of the command.
type running struct {
	pid  int
	done chan struct{} // closed once it has been waited for
}

// Start runs the server and returns once it answers. It has the ports and the data it had before.
func (p *process) Start() error { return p.report(p.start(context.Background())) }

// Stop ends the server with SIGTERM and waits until it is gone.
func (p *process) Stop() error { return p.report(p.signal(syscall.SIGTERM)) }

// Kill ends the server with SIGKILL and waits until it is gone.
func (p *process) Kill() error { return p.report(p.signal(syscall.SIGKILL)) }

// Freeze halts the server without closing its connections; Thaw lets it go on.
func (p *process) Freeze() error { return p.report(p.signalRunning(syscall.SIGSTOP)) }

// Thaw undoes Freeze.
func (p *process) Unfreeze() error { return p.report(p.signalRunning(syscall.SIGCONT)) }

// Pid is the process id, 0 when it does not run.
func (p *process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return 0
	}
	return p.run.pid
}

// Log is the end of what the server has logged.
func (p *process) Log() string {
	b, err := os.ReadFile(p.cmd.logFile)
	if err != nil {
		return err.Error()
	}
	if len(b) > logTail {
		b = b[len(b)-logTail:]
	}
	return string(b)
}

// Close kills the server and gives its ports back. For those who did not start it with a testing.TB.
func (p *process) Close() error {
	err := p.signal(syscall.SIGKILL)
	for i := len(p.ends) - 1; i >= 0; i-- {
		p.ends[i]()
	}
	p.ends = nil
	return err
}

func (p *process) report(err error) error {
	if err != nil && p.fail != nil {
		p.fail(err)
	}
	return err
}

func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		return fmt.Errorf("servers: %s runs already", p.cmd.name)
	}
	run, err := p.cmd.exec()
	if err != nil {
		return err
	}
	p.run = run
	if err := p.cmd.await(ctx, run); err != nil {
		run.end(syscall.SIGKILL)
		p.run = nil
		return fmt.Errorf("servers: start %s: %w\n%s", p.cmd.name, err, p.Log())
	}
	return nil
}

func (p *process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return nil
	}
	err := p.run.end(sig)
	p.run = nil
	if err != nil {
		return fmt.Errorf("servers: end %s: %w", p.cmd.name, err)
	}
	return nil
}

func (p *process) signalRunning(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return fmt.Errorf("servers: %s does not run", p.cmd.name)
	}
	return syscall.Kill(-p.run.pid, sig)
}

// exec starts the command in a process group of its own, so that all it starts can be ended with it.
func (c *command) exec() (*running, error) {
	path, err := lookPath(c.binary)
	if err != nil {
		return nil, fmt.Errorf("servers: %s is not installed: apt-get install %s", c.binary, c.pkg)
	}
	out, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(path, c.args...)
	cmd.Dir = filepath.Dir(c.logFile)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("servers: start %s: %w", c.name, err)
	}
	run := &running{pid: cmd.Process.Pid, done: make(chan struct{})}
	go func() { // ends with the process; end waits for it
		_ = cmd.Wait() // how a server ended is in its log
		close(run.done)
	}()
	return run, nil
}

// lookPath also looks where Debian keeps daemons, which is not in every user's PATH.
func lookPath(binary string) (string, error) {
	if path, err := exec.LookPath(binary); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", binary))
}

// await asks until the server answers, ends, or the time is up.
func (c *command) await(ctx context.Context, run *running) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.waitLimit, readyTimeout))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		try, stop := context.WithTimeout(ctx, 2*time.Second)
		err := c.ready(try)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-run.done:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-tick.C:
		}
	}
}

// end signals the group and waits. The group gets SIGKILL in any case, for what the server left behind.
func (r *running) end(sig syscall.Signal) error {
	select {
	case <-r.done:
		return nil // its group id may be another's by now
	default:
	}
	if err := syscall.Kill(-r.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	late := time.NewTimer(stopTimeout)
	defer late.Stop()
	select {
	case <-r.done:
		return nil
	case <-late.C:
	}
	_ = syscall.Kill(-r.pid, syscall.SIGKILL)
	<-r.done
	return fmt.Errorf("still there %v after %v", stopTimeout, sig)
}

// quoteLua writes a string as Lua reads it.
func quoteLua(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
