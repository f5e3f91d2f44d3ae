package fix

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestFor(t *testing.T) {
	for name, tt := range map[string]struct {
		err        error
		mqtt, xmpp string // a part of what is said
	}{
		"TLS port":       {&Error{SpeaksTLS, errors.New("x")}, "write ssl://", "CHATRELAY_XMPP_TLS=direct"},
		"plain port":     {tls.RecordHeaderError{Msg: "x"}, "write tcp://", "CHATRELAY_XMPP_TLS=starttls"},
		"XMPP port":      {&Error{SpeaksXMPP, errors.New("x")}, "an XMPP server", ""},
		"web server":     {&Error{SpeaksHTTP, errors.New("x")}, "write ws://", "5222"},
		"wrong domain":   {&Error{HostUnknown, errors.New("x")}, "", "CHATRELAY_XMPP_JID"},
		"TLS demanded":   {&Error{TLSDemanded, errors.New("x")}, "", "CHATRELAY_XMPP_TLS=starttls"},
		"PLAIN only":     {&Error{PlainOnly, errors.New("x")}, "", "without TLS the relay never"},
		"expired":        {&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, "renew", "renew"},
		"authority":      {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "CHATRELAY_MQTT_CA_FILE", "CHATRELAY_XMPP_CA_FILE"},
		"another name":   {&tls.CertificateVerificationError{Err: x509.HostnameError{}}, "as its certificate does", "domain of CHATRELAY_XMPP_JID"},
		"bad in another": {&tls.CertificateVerificationError{Err: errors.New("x")}, "CHATRELAY_MQTT_CA_FILE", "CHATRELAY_XMPP_CA_FILE"},
		"TLS alert":      {tls.AlertError(42), "CHATRELAY_MQTT_CERT_FILE", "TLS settings"},
		"no such name":   {&net.DNSError{}, "CHATRELAY_MQTT_URL", "CHATRELAY_XMPP_ADDR"},
		"refused":        {&net.OpError{Err: syscall.ECONNREFUSED}, "nobody listens", "nobody listens"},
		"anything":       {errors.New("x"), "that the broker runs", "that the server runs"},
	} {
		for s, want := range map[Side]string{MQTT: tt.mqtt, XMPP: tt.xmpp} {
			if got := For(s, fmt.Errorf("at b: %w", errors.Join(tt.err))); !strings.Contains(got, want) {
				t.Errorf("%s, side %d: %q, want %q", name, s, got, want)
			}
		}
	}
}

func TestSpeaks(t *testing.T) {
	for first, want := range map[string]Kind{
		"\x15\x03\x01\x00\x02": SpeaksTLS, "\x16\x03\x03": SpeaksTLS, "HTTP/1.1 400": SpeaksHTTP, "<?xml": SpeaksXMPP,
		"\x20\x02\x00\x00": "", "": "", "\x15": "", "HT": "",
	} {
		if got := Speaks([]byte(first)); got != want {
			t.Errorf("%q: %q, want %q", first, got, want)
		}
	}
}
