package servers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Ports are taken from below the kernel's ephemeral range, so that no outgoing connection can sit on
// one while its server is down.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePort reserves a loopback port until release is called. The lock file keeps other processes that use
// this package off it, even while its server is being restarted.
func freePort() (port int, release func(), err error) {
	dir := filepath.Join(os.TempDir(), "chatrelay-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, nil, fmt.Errorf("servers: ports: %w", err)
	}
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		release, err := claim(filepath.Join(dir, strconv.Itoa(port)))
		if err != nil {
			continue // another's
		}
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			release()
			continue
		}
		if err := l.Close(); err != nil {
			release()
			continue
		}
		return port, release, nil
	}
	return 0, nil, fmt.Errorf("servers: no free port between %d and %d", firstPort, lastPort)
}

func claim(name string) (func(), error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}

// FreeAddr reserves a loopback address (host:port) that nothing listens on, until the test ends.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	port, release, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(release)
	return loopback(port)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// portSet reserves ports and remembers how to give them back.
type portSet struct {
	releases []func()
	err      error
}

func (s *portSet) take() int {
	port, release, err := freePort()
	if err != nil {
		s.err = err
		return 0
	}
	s.releases = append(s.releases, release)
	return port
}

func (s *portSet) release() {
	for _, r := range s.releases {
		r()
	}
}
