package xmppside

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/xmppside/sm"
)

func TestCheckChallenge(t *testing.T) {
	for challenge, good := range map[string]bool{
		"r=abc,s=QUJD,i=4096":            true,
		"r=abc,s=QUJD,i=10000,x=more":    true,
		"i=1000000,r=abc,s=QUJD":         true,
		"r=abc,s=QUJD,i=4095":            false,
		"r=abc,s=QUJD,i=1":               false,
		"r=abc,s=QUJD,i=1000001":         false,
		"r=abc,s=QUJD,i=2147483647":      false,
		"r=abc,s=QUJD,i=2147483648":      false,
		"r=abc,s=QUJD,i=-4096":           false,
		"r=abc,s=QUJD,i=+5000":           false,
		"r=abc,s=QUJD,i=":                false,
		"r=abc,s=QUJD,i=x":               false,
		"r=abc,s=QUJD":                   false,
		"r=abc,s=QUJD,i=5000,i=99999999": false,
		"r=abc,s=QUJD,i=5000,":           false, // mellium would never end
		"r=abc,s=QUJD,i=5000,x":          false, // nor here
		"x":                              false,
		"":                               false,
	} {
		if err := checkChallenge([]byte(challenge)); (err == nil) != good {
			t.Errorf("%q: %v", challenge, err)
		}
	}
}

// scramServer asks for so many iterations, and says in the nonce what it must.
func scramServer(t *testing.T, tail string) string {
	t.Helper()
	return hostile(t, func(nc net.Conn) {
		read := func(until string) string {
			var got []byte
			for buf := make([]byte, 4096); !strings.Contains(string(got), until); {
				n, err := nc.Read(buf)
				if got = append(got, buf[:n]...); err != nil {
					return string(got)
				}
			}
			return string(got)
		}
		read("<stream:stream")
		fmt.Fprint(nc, streamHead+"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>")
		auth := regexp.MustCompile(`<auth[^>]*>([^<]*)<`).FindStringSubmatch(read("</auth>"))
		if auth == nil {
			return
		}
		first, _ := base64.StdEncoding.DecodeString(auth[1])
		_, nonce, _ := strings.Cut(string(first), ",r=")
		challenge := base64.StdEncoding.EncodeToString([]byte("r=" + nonce + "server,s=QUJD," + tail))
		fmt.Fprint(nc, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"+challenge+"</challenge>")
		read("</response>")
	})
}

// hostile is a server of one's own making; its address.
func hostile(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the listener
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_ = nc.SetDeadline(time.Now().Add(waitLimit))
			serve(nc)
			_ = nc.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}

func attempt(t *testing.T, address string) (time.Duration, error) {
	t.Helper()
	cfg := Config{JID: ownJID, Password: Fixed("topsecret"), Addr: address, TLS: "off"}
	me, err := cfg.prepare()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = newConnector(&cfg, newClient(&cfg, me)).connect(t.Context(), sm.New(sm.Config{Account: ownJID}, sm.State{}))
	return time.Since(began), err
}

// A server that would have us hash for hours, or hardly at all, is not answered.
func TestHostileSCRAM(t *testing.T) {
	for tail, hashed := range map[string]bool{"i=20000000": false, "i=1": false, "i=4095": false, "i=1000001": false, "i=5000,": false, "i=4096": true} {
		t.Run(tail, func(t *testing.T) {
			took, err := attempt(t, scramServer(t, tail))
			if err == nil {
				t.Fatal("logged in")
			}
			if isLogin(err) == hashed || strings.Contains(err.Error(), "SCRAM challenge") == hashed {
				t.Errorf("got %v", err)
			}
			if took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// What has no end before the login ends the login.
func TestEndlessGreeting(t *testing.T) {
	for name, c := range map[string][2]string{
		"a feature":   {streamHead + "<stream:features><x>", "y"},
		"features":    {streamHead + "<stream:features>", "<x xmlns='y'/>"},
		"an XML head": {"<?xml ", "x"},
		"whitespace":  {streamHead, " "},
	} {
		t.Run(name, func(t *testing.T) {
			var wrote atomic.Int64
			address := hostile(t, func(nc net.Conn) {
				n, err := io.WriteString(nc, c[0])
				for chunk := strings.Repeat(c[1], 1+(64<<10)/len(c[1])); err == nil && wrote.Load() < 256<<20; {
					wrote.Add(int64(n))
					n, err = io.WriteString(nc, chunk)
				}
			})
			took, err := attempt(t, address)
			if err == nil || isLogin(err) || !errors.Is(err, errGreeting) && name != "whitespace" { // mellium hides it there
				t.Errorf("got %v", err)
			}
			if wrote.Load() > 64<<20 || took > 10*time.Second { // much of it stands in the kernel
				t.Errorf("%d bytes in %v", wrote.Load(), took)
			}
		})
	}
}
