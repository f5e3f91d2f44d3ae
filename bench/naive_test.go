package bench

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// startNaive runs the naive relay until the benchmark ends, and returns its process id once it is ready.
func startNaive(b *testing.B, binary string, env map[string]string) int {
	b.Helper()
	cmd := exec.Command(binary)
	cmd.Env = os.Environ()
	for k, v := range env {
		cmd.Env = append(cmd.Env, "NAIVE_"+k+"="+v)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if complaints.Len() > 0 {
			b.Errorf("the naive relay: %s", complaints.String())
		}
	})
	if output, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(output) != "ready" {
		b.Fatalf("the naive relay is not ready: %v", err)
	}
	return cmd.Process.Pid
}
