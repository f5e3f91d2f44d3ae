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

// hold opens n connections that each say something and then hold on.
func hold(t *testing.T, address string, n int, say string) {
	t.Helper()
	for range n {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_, _ = io.WriteString(nc, say)
	}
}

// alive asks as an orchestrator does.
func alive(t *testing.T, address string) {
	t.Helper()
	c := http.Client{Timeout: time.Second}
	got, err := c.Get("http://" + address + "/livez")
	if err != nil {
		t.Error(err)
		return
	}
	_ = got.Body.Close()
	if got.StatusCode != http.StatusOK {
		t.Errorf("/livez: %d", got.StatusCode)
	}
}

const livez = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

// TestManyConnections: only so many clients are kept, and none of them keeps out the next.
func TestManyConnections(t *testing.T) {
	for name, say := range map[string]string{
		"silent": "", "half a request": "GET /livez HTTP/1.1\r\n", "idle": livez,
		"a body without end": "POST /dead/requeue HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			s := served(t)
			hold(t, s.Addr(), 2*mostConnections, say)
			alive(t, s.Addr())
			e := s.listener.(*evicting)
			e.mu.Lock()
			defer e.mu.Unlock()
			if n := len(e.clients); n > connections(descriptors()) {
				t.Errorf("%d clients are kept, want at most %d", n, connections(descriptors()))
			}
		})
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
	hold(t, address, 200, livez)
	alive(t, address)
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
