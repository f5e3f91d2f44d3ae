// Package process runs a program beside the demo or a test, its output in a file.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a program with all that it starts, in a process group of its own: Ctrl-C in the terminal reaches
// only whoever started it, who then ends it in order. It dies with whoever started it.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has been waited for
}

// Start runs cmd; what it prints is appended to logFile.
func Start(cmd *exec.Cmd, logFile string) (*Process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process; End waits for it
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// Running tells whether it has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// End signals it and waits; when the time is up, and for what it left behind, its group is killed.
func (p *Process) End(sig syscall.Signal, wait time.Duration) error {
	if !p.Running() {
		return nil // its group id may be another's by now
	}
	pid := p.cmd.Process.Pid
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-p.done:
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		return nil
	case <-late.C:
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("%s was still there %v after %v", p.cmd.Path, wait, sig)
}
