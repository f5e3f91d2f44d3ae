package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a program that runs beside the demo, in a process group of its own: Ctrl-C in the terminal
// reaches the demo alone, which then stops its children in order. It ends when the demo dies.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has been waited for
}

// startChild runs a program whose output goes to a file.
func startChild(cmd *exec.Cmd, logFile string) (*child, error) {
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
	c := &child{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process; end waits for it
		_ = cmd.Wait() // how it ended is in its log
		close(c.done)
	}()
	return c, nil
}

// running tells whether it has not ended yet.
func (c *child) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// end signals it and waits; when the time is up, and for what it left behind, its group is killed.
func (c *child) end(sig syscall.Signal, wait time.Duration) error {
	if !c.running() {
		return nil // its group id may be another's by now
	}
	pid := c.cmd.Process.Pid
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-c.done:
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		return nil
	case <-late.C:
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-c.done
	return fmt.Errorf("%s was still there %v after %v", c.cmd.Path, wait, sig)
}
