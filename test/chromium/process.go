package chromium

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is the browser with all that it starts: a process group of its own, which ends when the test dies.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has been waited for
}

func start(cmd *exec.Cmd, logFile string) (*process, error) {
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
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process; end waits for it
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// running tells whether it has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// end asks it to end and waits; when the time is up, and for what it left behind, its group is killed.
func (p *process) end(wait time.Duration) error {
	if !p.running() {
		return nil // its group id may be another's by now
	}
	pid := p.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
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
	return fmt.Errorf("%s was still there after %v", p.cmd.Path, wait)
}
