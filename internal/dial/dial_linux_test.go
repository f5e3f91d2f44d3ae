package dial_test

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chatrelay/internal/dial"
)

// TestFullQueue: a server that had no room for the first SYN is reached before the kernel asks it again.
func TestFullQueue(t *testing.T) {
	l := narrow(t)
	address := l.Addr().String()
	fill(t, address)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ends := make(chan string, 2)
	go func() { ends <- connect(ctx, "patient", address, new(net.Dialer).DialContext) }()
	go func() {
		ends <- connect(ctx, "ours", address, func(ctx context.Context, _, address string) (net.Conn, error) {
			return dial.TCP(ctx, address, time.Minute)
		})
	}()
	time.Sleep(100 * time.Millisecond) // both have been turned away
	go drain(l)                        // ends with the listener
	if first := <-ends; first != "ours" {
		t.Errorf("first: %s, want ours", first)
	}
}

// TestNobody: a refusal is an answer, and at once.
func TestNobody(t *testing.T) {
	l := narrow(t)
	address := l.Addr().String()
	_ = l.Close()
	if _, err := dial.TCP(t.Context(), address, time.Minute); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestEnd: no attempt outlives its context.
func TestEnd(t *testing.T) {
	l := narrow(t)
	fill(t, l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond) // two attempts
	defer cancel()
	conn, err := dial.TCP(ctx, l.Addr().String(), time.Minute)
	if err == nil {
		_ = conn.Close()
	}
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
}

// TestNothingLeft: when it returns, no attempt is under way and no descriptor is open, however it ended.
func TestNothingLeft(t *testing.T) {
	for name, connected := range map[string]bool{"connected": true, "given up": false} {
		t.Run(name, func(t *testing.T) {
			l := narrow(t)
			fill(t, l.Addr().String())
			before := sockets(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if connected {
				time.AfterFunc(900*time.Millisecond, func() { drain(l) }) // three attempts; ends with the listener
			} else {
				time.AfterFunc(900*time.Millisecond, cancel)
			}
			conn, err := dial.TCP(ctx, l.Addr().String(), time.Minute)
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			if n := strings.Count(string(stacks), "created by chatrelay/internal/dial.TCP") + strings.Count(string(stacks), "dial.TCP.func"); n > 0 {
				t.Errorf("%d attempts are left:\n%s", n, stacks)
			}
			if (err == nil) != connected {
				t.Errorf("got %v", err)
			}
			if conn != nil {
				_ = conn.Close()
			} else if after := sockets(t); after > before {
				t.Errorf("%d sockets, %d before", after, before)
			}
		})
	}
}

// sockets counts those of this process.
func sockets(t *testing.T) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if at, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(at, "socket:") {
			n++
		}
	}
	return n
}

// TestUserTimeout: the kernel knows for how long silence is borne.
func TestUserTimeout(t *testing.T) {
	l := narrow(t)
	conn, err := dial.TCP(t.Context(), l.Addr().String(), 7*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if bad := raw.Control(func(fd uintptr) {
		got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	}); bad != nil || err != nil || got != 7000 {
		t.Errorf("got %d ms, %v, %v, want 7000", got, bad, err)
	}
}

// narrow listens with room for one connection that is not accepted yet.
func narrow(t *testing.T) net.Listener {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := unix.Listen(fd, 1); err != nil { // whatever net made of it
		t.Fatal(err)
	}
	return l
}

// fill connects until there is no more room.
func fill(t *testing.T, address string) {
	t.Helper()
	for range 20 {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue is never full")
}

// connect keeps its connection until ctx ends; it says who it was, and what went wrong.
func connect(ctx context.Context, name, address string, connectTo func(context.Context, string, string) (net.Conn, error)) string {
	conn, err := connectTo(ctx, "tcp", address)
	if err != nil {
		return name + ": " + err.Error()
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return name
}

// drain accepts all.
func drain(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
	}
}
