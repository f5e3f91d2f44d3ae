package servers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var bothXMPP = []struct {
	name  string
	start func(testing.TB, XMPPConfig) *XMPP
}{{"prosody", NewProsody}, {"ejabberd", NewEjabberd}}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func alive(pid int) bool { return pid != 0 && syscall.Kill(pid, 0) == nil }

// talk writes to a connection and reads until one of the words has come; it says which.
func talk(t *testing.T, c net.Conn, say string, words ...string) string {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		for _, w := range words {
			if bytes.Contains(got, []byte(w)) {
				return w
			}
		}
		if err != nil {
			t.Fatalf("%v after %q; want one of %q", err, got, words)
		}
	}
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := dial(soon(t), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const stream = "<?xml version='1.0'?><stream:stream to='chat.test' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// login authenticates a user by SASL PLAIN and binds.
func login(t *testing.T, c net.Conn, user, password string) (ok bool) {
	t.Helper()
	talk(t, c, stream, "</stream:features>")
	secret := "\x00" + user + "\x00" + password
	auth := fmt.Sprintf("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", b64(secret))
	if talk(t, c, auth, "<success", "<failure") == "<failure" {
		return false
	}
	talk(t, c, stream, "</stream:features>")
	talk(t, c, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</jid>")
	return true
}

func TestXMPPLives(t *testing.T) {
	for _, x := range bothXMPP {
		t.Run(x.name, func(t *testing.T) {
			s := x.start(t, XMPPConfig{PlainAllowed: true, Rooms: []string{"team"}})
			if err := s.AddUser("2001", "secret"); err != nil {
				t.Fatal(err)
			}
			for _, end := range []struct {
				name string
				f    func() error
			}{{"stop", s.Stop}, {"kill", s.Kill}} {
				pid := s.Pid()
				if !alive(pid) {
					t.Fatal("it does not run")
				}
				if err := end.f(); err != nil {
					t.Fatal(err)
				}
				if alive(pid) || s.Pid() != 0 {
					t.Errorf("%s: %d is still there", end.name, pid)
				}
				if c, err := net.Dial("tcp", s.Addr); err == nil {
					c.Close()
					t.Errorf("%s: it still listens", end.name)
				}
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
				if !login(t, connect(t, s.Addr), "2001", "secret") {
					t.Errorf("%s: the account is gone", end.name)
				}
			}
		})
	}
}

func TestXMPPLogins(t *testing.T) {
	for _, x := range bothXMPP {
		t.Run(x.name, func(t *testing.T) {
			s := x.start(t, XMPPConfig{PlainAllowed: true})
			for _, user := range []string{"1001", "1002", "1003", "receiver"} {
				if !login(t, connect(t, s.Addr), user, s.Password(user)) {
					t.Errorf("%s cannot log in", user)
				}
			}
			if login(t, connect(t, s.Addr), "1001", "wrong") {
				t.Error("a wrong password is taken")
			}
		})
	}
}

func TestXMPPOptions(t *testing.T) {
	for _, x := range bothXMPP {
		t.Run(x.name, func(t *testing.T) {
			s := x.start(t, XMPPConfig{NoSM: true})
			if talk(t, connect(t, s.Addr), stream, "<mechanism>", "</stream:features>") == "<mechanism>" {
				t.Error("a login is offered without TLS")
			}
			pool := trust(t, s.Certs)
			tc, err := tls.Dial("tcp", s.DirectTLSAddr, &tls.Config{RootCAs: pool, ServerName: "chat.test", MinVersion: tls.VersionTLS12})
			if err != nil {
				t.Fatal(err)
			}
			defer tc.Close()
			if !login(t, tc, "1001", s.Password("1001")) {
				t.Error("login over direct TLS")
			}
			if err := errors.Join(s.Stop(), s.Stop()); err != nil {
				t.Errorf("stopped twice: %v", err)
			}
		})
	}
}

func TestXMPPFeatures(t *testing.T) {
	for _, x := range bothXMPP {
		t.Run(x.name, func(t *testing.T) {
			s := x.start(t, XMPPConfig{PlainAllowed: true, MAM: true, Rooms: []string{"team"}, SMQueue: 70000, SMHibernation: time.Minute})
			c := connect(t, s.Addr)
			if !login(t, c, "1001", s.Password("1001")) {
				t.Fatal("login")
			}
			talk(t, c, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "<enabled")
			talk(t, c, "<iq type='get' id='m' to='1001@chat.test'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "urn:xmpp:mam:2")
			ask := "<iq type='get' id='r' to='" + s.Room("team") + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
			talk(t, c, ask, "muc_nonanonymous")
			talk(t, c, strings.Replace(ask, "id='r'", "id='p'", 1), "muc_persistent")
			res, err := http.Get("http://" + s.HTTPAddr + s.BOSHURL[strings.LastIndex(s.BOSHURL, "/"):])
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("BOSH: %s", res.Status)
			}
			upgrade(t, s)
		})
	}
}

// upgrade wants the WebSocket handshake (RFC 7395 §3.1) at WSURL.
func upgrade(t *testing.T, s *XMPP) {
	t.Helper()
	path := strings.TrimPrefix(s.WSURL, "ws://"+s.HTTPAddr)
	talk(t, connect(t, s.HTTPAddr), "GET "+path+" HTTP/1.1\r\nHost: "+s.HTTPAddr+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n", "101 ")
}

func TestAnonymousRooms(t *testing.T) {
	for _, x := range bothXMPP {
		t.Run(x.name, func(t *testing.T) {
			s := x.start(t, XMPPConfig{PlainAllowed: true, Rooms: []string{"team"}, AnonymousRooms: true})
			c := connect(t, s.Addr)
			if !login(t, c, "1001", s.Password("1001")) {
				t.Fatal("login")
			}
			talk(t, c, "<iq type='get' id='r' to='"+s.Room("team")+"'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "muc_semianonymous")
		})
	}
}

// Rate limits throttle: what passes at once without them takes seconds with them.
func TestRateLimits(t *testing.T) {
	for _, x := range bothXMPP {
		for _, limited := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", x.name, limited), func(t *testing.T) {
				t.Parallel()
				s := x.start(t, XMPPConfig{PlainAllowed: true, RateLimits: limited})
				c := connect(t, s.Addr)
				if !login(t, c, "1001", s.Password("1001")) {
					t.Fatal("login")
				}
				note := "<message to='1002@chat.test' type='chat'><body>" + strings.Repeat("x", 900) + "</body></message>"
				began := time.Now()
				talk(t, c, strings.Repeat(note, 40)+"<iq type='get' id='end' to='chat.test'><ping xmlns='urn:xmpp:ping'/></iq>", `id="end"`, `id='end'`)
				if took := time.Since(began); took > time.Second != limited {
					t.Errorf("40 kB took %v", took)
				}
			})
		}
	}
}

func trust(t *testing.T, c Certs) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the CA file")
	}
	return pool
}

func TestMissingBinaryNamesThePackage(t *testing.T) {
	p := process{cmd: command{name: "prosody", pkg: "prosody", binary: "no-such-binary", logFile: filepath.Join(t.TempDir(), "log")}}
	err := p.Start()
	if err == nil || !strings.Contains(err.Error(), "apt-get install prosody") {
		t.Errorf("got %v", err)
	}
}

func TestServerThatEndsAtOnce(t *testing.T) {
	p := process{cmd: command{name: "sh", pkg: "dash", binary: "sh", args: []string{"-c", "echo why; exit 3"},
		logFile: filepath.Join(t.TempDir(), "log"), ready: func(context.Context) error { return errors.New("no") }}}
	var failure error
	p.fail = func(err error) { failure = err }
	err := p.Start()
	if err == nil || !strings.Contains(err.Error(), "ended at once") || !strings.Contains(err.Error(), "why") {
		t.Errorf("got %v", err)
	}
	if failure == nil || p.Pid() != 0 {
		t.Errorf("told %v, pid %d", failure, p.Pid())
	}
}

// What a server leaves running in its group ends with it.
func TestStopEndsTheGroup(t *testing.T) {
	dir := t.TempDir()
	p := process{cmd: command{name: "sh", binary: "sh", args: []string{"-c", "sleep 1000 & echo $! > child; wait"}, logFile: filepath.Join(dir, "log"),
		ready: func(context.Context) error {
			b, err := os.ReadFile(filepath.Join(dir, "child"))
			if err == nil && !bytes.HasSuffix(b, []byte("\n")) {
				return errors.New("not yet")
			}
			return err
		}}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Sscan(string(b), &child); err != nil || !alive(child) {
		t.Fatalf("child %d, %v", child, err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	gone := time.Now().Add(5 * time.Second)
	for alive(child) && !zombie(child) && time.Now().Before(gone) {
		syscall.Sync() // something to do while the kernel ends it
	}
	if alive(child) && !zombie(child) {
		t.Error("the child is still there")
	}
}

func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(b, []byte(") Z "))
}

func TestPortsAreNotGivenTwice(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		a := FreeAddr(t)
		if seen[a] {
			t.Fatalf("%s twice", a)
		}
		seen[a] = true
	}
}

func soonBut(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
