package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// NATS is a NATS server that speaks MQTT 3.1.1, with QoS 2 and without the bridge bit. Its sessions are on the disk.
type NATS struct {
	process
	Dir  string
	Addr string // host:port of MQTT
	URL  string // tcp://host:port
}

// NewNATS starts a server that ends with the test.
func NewNATS(tb testing.TB) *NATS {
	tb.Helper()
	n, err := StartNATS(tb.Context(), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	n.attach(tb)
	return n
}

// StartNATS starts a server with its files in dir, which must exist. End it with Close. The first one on a machine
// is built, which takes a minute.
func StartNATS(ctx context.Context, dir string) (*NATS, error) {
	binary, err := goTool(ctx, "nats-server")
	if err != nil {
		return nil, err
	}
	n := &NATS{Dir: dir}
	var ports portSet
	n.ends = append(n.ends, ports.release)
	own, mqtt := ports.take(), ports.take()
	n.Addr = loopback(mqtt)
	n.URL = "tcp://" + n.Addr
	err = ports.err
	if err == nil {
		err = writeFile(dir, "nats.conf", fmt.Sprintf(`server_name: test
listen: %q
jetstream { store_dir: %q, max_memory_store: 64MB, max_file_store: 256MB, sync_interval: always }
mqtt { listen: %q }
`, loopback(own), filepath.Join(dir, "jetstream"), n.Addr))
	}
	if err == nil {
		n.cmd = command{
			name: "nats-server", pkg: "none: it is a tool of go.mod", binary: binary,
			args: []string{"-c", filepath.Join(dir, "nats.conf")}, env: []string{"GOMEMLIMIT=256MiB"},
			logFile: filepath.Join(dir, "nats.log"),
			ready:   func(ctx context.Context) error { return answersMQTT(ctx, n.Addr) },
		}
		err = n.start(ctx)
	}
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	return n, nil
}

// goTool builds a tool of go.mod, where that has not been done yet, and tells where it lies.
func goTool(ctx context.Context, name string) (string, error) {
	tool := "go"
	if named := os.Getenv("GO"); named != "" {
		tool = named
	}
	out, err := exec.CommandContext(ctx, tool, "tool", "-n", name).Output()
	if err != nil {
		return "", fmt.Errorf("servers: go tool %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
