package fix

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestFor(t *testing.T) {
	plain := tls.RecordHeaderError{Msg: "x", RecordHeader: [5]byte{'<', '?', 'x', 'm', 'l'}}
	for name, tt := range map[string]struct {
		err        error
		mqtt, xmpp string // a part of what is said
	}{
		"TLS port":         {&Speaks{TLS}, "write ssl://", "CHATRELAY_XMPP_TLS=direct"},
		"XMPP port":        {&Speaks{XMPP}, "an XMPP server", "CHATRELAY_XMPP_TLS=starttls"},
		"XMPP, seen late":  {plain, "an XMPP server", "CHATRELAY_XMPP_TLS=starttls"},
		"MQTT port":        {&Speaks{MQTT}, "write tcp://", "an MQTT broker"},
		"web server":       {&Speaks{HTTP}, "write ws://", "5222"},
		"login":            {&Error{BadLogin, io.EOF}, "CHATRELAY_MQTT_USERNAME", "CHATRELAY_XMPP_PASSWORD"},
		"client id":        {&Error{BadClientID, io.EOF}, "CHATRELAY_MQTT_CLIENT_ID", ""},
		"secret":           {&Error{BadSecret, io.EOF}, "", "a component of that name, with this secret"},
		"component":        {&Error{NoComponent, io.EOF}, "", "no component of that name"},
		"taken":            {&Error{Taken, io.EOF}, "", "kick_old"},
		"SCRAM":            {&Error{BadScram, io.EOF}, "", "SASL settings"},
		"domain":           {&Error{HostUnknown, io.EOF}, "", "CHATRELAY_XMPP_JID"},
		"mechanism":        {&Error{NoMechanism, io.EOF}, "", "SCRAM-SHA-1"},
		"password file":    {&Error{NoPassword, io.EOF}, "CHATRELAY_MQTT_PASSWORD_FILE", "CHATRELAY_XMPP_PASSWORD_FILE"},
		"no TLS":           {&Error{NoTLS, io.EOF}, "", "give it a certificate"},
		"no WebSocket":     {&Error{NoWebsocket, io.EOF}, "the path in CHATRELAY_MQTT_URL", ""},
		"PLAIN only":       {&Error{PlainOnly, io.EOF}, "", "does not send the password as it is"},
		"TLS demanded":     {&Error{TLSDemanded, io.EOF}, "", "CHATRELAY_XMPP_TLS=starttls"},
		"unavailable":      {&Error{Unavailable, io.EOF}, "the broker's log", "the server's log"},
		"expired":          {&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, "renew", "renew"},
		"authority":        {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "CHATRELAY_MQTT_CA_FILE", "CHATRELAY_XMPP_CA_FILE"},
		"another name":     {&tls.CertificateVerificationError{Err: x509.HostnameError{}}, "as its certificate does", "domain of CHATRELAY_XMPP_JID"},
		"otherwise bad":    {&tls.CertificateVerificationError{Err: errors.New("x")}, "CHATRELAY_MQTT_CA_FILE", "CHATRELAY_XMPP_CA_FILE"},
		"alert":            {&net.OpError{Op: "remote error", Err: errors.New("x")}, "CHATRELAY_MQTT_CERT_FILE", "TLS 1.2"},
		"no such name":     {&net.DNSError{}, "CHATRELAY_MQTT_URL", "CHATRELAY_XMPP_ADDR"},
		"name server away": {&net.DNSError{IsTimeout: true}, "host name", "SRV"},
		"refused":          {&net.OpError{Err: syscall.ECONNREFUSED}, "nobody listens", "nobody listens"},
		"silent":           {&Silent{Err: io.EOF}, "the broker's log", "the server's log"},
		"reset":            {&net.OpError{Err: syscall.ECONNRESET}, "CHATRELAY_MQTT_CERT_FILE", "its log"},
		"timeout":          {context.DeadlineExceeded, "firewalls", "firewalls"},
		"no way there":     {&net.OpError{Err: syscall.EHOSTUNREACH}, "firewalls", "firewalls"},
		"anything":         {errors.New("x"), "CHATRELAY_MQTT_URL", "CHATRELAY_XMPP_ADDR"},
	} {
		for side, want := range map[Protocol]string{MQTT: tt.mqtt, XMPP: tt.xmpp} {
			if got := For(side, fmt.Errorf("at b: %w", errors.Join(tt.err))); !strings.Contains(got, want) {
				t.Errorf("%s, %s: %q, want %q", name, side, got, want)
			}
		}
	}
}

func TestProtocolOf(t *testing.T) {
	for first, want := range map[string]Protocol{
		"\x15\x03\x01\x00\x02": TLS, "\x16\x03\x03": TLS, "HTTP/1.1 400": HTTP, "<?xml": XMPP, "\x20\x02\x00\x00": MQTT,
		"": "", "\x15": "", "HT": "", "\x00": "",
	} {
		if got := protocolOf([]byte(first)); got != want {
			t.Errorf("%q: %q, want %q", first, got, want)
		}
	}
}

// answering is a server that reads once on each connection, says something, and closes.
func answering(t *testing.T, answer func(heard string) string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				b := make([]byte, 64)
				n, err := c.Read(b)
				if err == nil {
					_, _ = c.Write([]byte(answer(string(b[:n]))))
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// What comes first is looked at, nothing behind it; and a port without an answer is asked.
func TestExpect(t *testing.T) {
	only := func(hello, answer string) func(string) string {
		return func(heard string) string {
			if strings.HasPrefix(heard, hello) {
				return answer
			}
			return ""
		}
	}
	for name, tt := range map[string]struct {
		answer   func(string) string
		expected Protocol
		err      string
		found    string
	}{
		"as expected":        {only("hi", "\x20\x02\x00\x00"), MQTT, "", ""},
		"not known":          {only("hi", "?"), MQTT, "", ""},
		"XMPP":               {only("hi", "<?xml version='1.0'?>"), MQTT, "the far end speaks XMPP", "the far end speaks XMPP"},
		"HTTP":               {only("hi", "HTTP/1.1 400 Bad Request\r\n"), TLS, "the far end speaks HTTP", "the far end speaks HTTP"},
		"TLS, asked":         {only("\x16\x03", "\x15\x03\x01\x00\x02\x02\x28"), MQTT, "without an answer", "the far end speaks TLS"},
		"MQTT, asked":        {only("\x10", "\x20\x02\x00\x05"), TLS, "without an answer", "the far end speaks MQTT"},
		"XMPP, asked":        {only("<?xml", "<?xml version='1.0'?>"), TLS, "without an answer", "the far end speaks XMPP"},
		"nothing":            {only("x", ""), MQTT, "without an answer", "without an answer"},
		"is not asked again": {only("<?xml", "<?xml version='1.0'?>"), XMPP, "without an answer", "without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := net.Dial("tcp", answering(t, tt.answer))
			if err != nil {
				t.Fatal(err)
			}
			c := Expect(raw, tt.expected)
			defer c.Close()
			if _, err := c.Write([]byte("hi")); err != nil {
				t.Fatal(err)
			}
			_, err = c.Read(make([]byte, 64))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("read: %v, want %q", err, tt.err)
			}
			if err == nil {
				if _, err := c.Read(make([]byte, 64)); !errors.Is(err, io.EOF) || errors.As(err, new(*Silent)) {
					t.Errorf("at the end: %v", err)
				}
				return
			}
			if got := Explain(t.Context(), fmt.Errorf("x: %w", err)); !strings.Contains(got.Error(), tt.found) {
				t.Errorf("found %v, want %q", got, tt.found)
			}
		})
	}
}

// A failure is fresh once, whatever numbers its text has, and asks a silent port once, after a while.
func TestFailure(t *testing.T) {
	addr := answering(t, func(heard string) string {
		if heard[0] == '\x16' {
			return "\x15\x03\x01\x00\x02\x02\x28"
		}
		return ""
	})
	f := Failure{Side: MQTT}
	at := time.Unix(0, 0)
	see := func(after time.Duration, err error, want string, fresh bool) {
		t.Helper()
		at = at.Add(after)
		if got, is := f.See(t.Context(), at, err); is != fresh || got.Error() != want {
			t.Errorf("%v: %v, fresh %v; want %q, %v", err, got, is, want, fresh)
		}
	}
	see(0, errors.New("expired at 12:00:01"), "expired at 12:00:01", true)
	see(time.Second, errors.New("expired at 12:00:02"), "expired at 12:00:01", false)
	silent := &Silent{Addr: addr, Expected: MQTT, Err: io.EOF}
	const unanswered = "the far end closes the connection without an answer"
	see(time.Second, silent, unanswered, true)
	see(askAfter/2, &Silent{Addr: addr, Expected: MQTT, Err: syscall.ECONNRESET}, unanswered, false)
	see(askAfter, silent, "the far end speaks TLS", true)
	see(askAfter, silent, "the far end speaks TLS", false)
	f.Over()
	see(time.Second, silent, unanswered, true)
}

// A port that takes the connection and says nothing holds nobody up for long.
func TestExplainEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = Explain(ctx, &Silent{Addr: ln.Addr().String(), Expected: MQTT, Err: io.EOF})
	if _, ok := errors.AsType[*Silent](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&Error{BadLogin, errors.New("refused")}, "refused: check CHATRELAY_XMPP_PASSWORD and CHATRELAY_XMPP_JID"},
		{fmt.Errorf("x: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "dial: connection refused: nobody listens there"},
		{errors.Join(errors.New("a"), errors.New("b")), "a; b: check"},
	} {
		if got := Text(XMPP, tt.err); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// What differs from one time to the next makes no other failure.
func TestShape(t *testing.T) {
	for _, same := range [][2]string{
		{"read tcp 127.0.0.1:4711->127.0.0.1:5222: reset", "read tcp 127.0.0.1:4712->127.0.0.1:5222: reset"},
		{"not after 2026-01-01T00:00:00Z", "not after 2026-01-01T00:00:01Z"},
	} {
		if a, b := Shape(errors.New(same[0])), Shape(errors.New(same[1])); a != b {
			t.Errorf("%q and %q are two", a, b)
		}
	}
	if Shape(errors.New("expired")) == Shape(errors.New("not yet valid")) {
		t.Error("two are one")
	}
}

// Whatever is wrong, people are told which setting leads there.
func TestFixesNameSettings(t *testing.T) {
	for i, r := range table() {
		for _, text := range []string{r.mqtt, r.xmpp} {
			if text != "" && !strings.Contains(text, "CHATRELAY_") {
				t.Errorf("row %d: %q", i, text)
			}
		}
	}
}
