//go:build unix

package admin

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestConnections(t *testing.T) {
	for descriptors, want := range map[uint64]int{0: 1, 20: 1, 40: 1, 64: 13, 166: 64, 1024: 64, math.MaxUint64: 64} {
		if got := connections(descriptors); got != want {
			t.Errorf("%d descriptors: %d clients, want %d", descriptors, got, want)
		}
	}
}

// served runs a page until the test ends.
func served(t *testing.T) *Server {
	t.Helper()
	s, err := New(newWorld().config())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// idle opens n connections that each ask once, if they are served, and then hold on.
func idle(t *testing.T, address string, n int) (all []net.Conn, answered int) {
	t.Helper()
	for range n {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_, _ = io.WriteString(nc, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		all = append(all, nc)
	}
	for _, nc := range all {
		_ = nc.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := nc.Read(make([]byte, 1)); err != nil {
			break // they are served in order
		}
		answered++
	}
	return all, answered
}

// Only so many are served at once; the next one comes when one of them has gone.
func TestManyConnections(t *testing.T) {
	s := served(t)
	all, answered := idle(t, s.Addr(), 2*mostConnections)
	if answered != connections(descriptors()) {
		t.Errorf("%d of %d are served, want %d", answered, len(all), connections(descriptors()))
	}
	for _, nc := range all[:answered] {
		_ = nc.Close()
	}
	next := all[answered]
	_ = next.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := next.Read(make([]byte, 1)); err != nil {
		t.Errorf("the next one is not served: %v", err)
	}
}

// A page for each of 200 idle clients would take all 64 descriptors of the process, and the broker's connection with them.
func TestFewDescriptors(t *testing.T) {
	if os.Getenv("CHATRELAY_TEST_FEW") != "" {
		fewDescriptors(t)
		return
	}
	if testing.Short() {
		t.Skip("needs a process of its own")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFewDescriptors$", "-test.v")
	cmd.Env = append(os.Environ(), "CHATRELAY_TEST_FEW=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for buf := make([]byte, 1024); !strings.Contains(text.String(), "\n--\n"); {
		n, err := out.Read(buf)
		if text.Write(buf[:n]); err != nil {
			t.Fatalf("%v: %s", err, text.String())
		}
	}
	_, rest, _ := strings.Cut(text.String(), "listens at ")
	address, _, _ := strings.Cut(rest, "\n")
	if _, answered := idle(t, address, 200); answered == 0 {
		t.Error("nobody is served")
	}
	_ = in.Close()
	end, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, end)
	}
}

// fewDescriptors serves until standard input ends, and then opens what a relay opens that connects again.
func fewDescriptors(t *testing.T) {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	s := served(t)
	fmt.Printf("listens at %s\n--\n", s.Addr())
	_, _ = io.ReadAll(os.Stdin)
	for n := range 20 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatalf("socket %d: %v", n, err)
		}
		defer unix.Close(fd)
	}
}

// The metrics are not packed, whatever is asked for.
func TestNoCompression(t *testing.T) {
	r := request(http.MethodGet, "/metrics")
	r.Header.Set("Accept-Encoding", "gzip")
	if code, body := do(t, newWorld().page(t, true), r); code != 200 || !strings.Contains(body, "chatrelay_ready") {
		t.Errorf("%d, %d bytes", code, len(body))
	}
}
