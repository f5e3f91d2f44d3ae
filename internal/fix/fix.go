// Package fix is the one table from what is wrong with a connection to the setting that mends it. chatrelay check shows it,
// and a relay that runs logs it in the field "fix". Both sides use it; it knows no protocol.
package fix

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
)

// Side is whose variables are named.
type Side uint8

// The sides.
const (
	MQTT Side = iota
	XMPP
)

// Kind is what is wrong, where an error's type does not tell.
type Kind string

// The kinds that a side finds out.
const (
	SpeaksTLS   Kind = "speaks TLS"
	SpeaksXMPP  Kind = "speaks XMPP"
	SpeaksHTTP  Kind = "speaks HTTP"
	HostUnknown Kind = "host unknown"
	TLSDemanded Kind = "TLS is demanded"
	PlainOnly   Kind = "PLAIN only"
)

// Error is an error of a kind.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() + " (" + said(e.Kind) + ")" }
func (e *Error) Unwrap() error { return e.Err }

// said is the kind as a clause.
func said(k Kind) string {
	switch k {
	case SpeaksTLS, SpeaksXMPP, SpeaksHTTP:
		return "the far end " + string(k)
	case HostUnknown:
		return "the server does not serve the domain"
	case PlainOnly:
		return "without TLS the server takes the password only as it is"
	}
	return "the server wants TLS"
}

// row says what mends one kind of error; empty: that side never has it.
type row struct {
	is         func(error) bool
	mqtt, xmpp string
}

// table is in order: the first row that fits counts.
func table() []row {
	return []row{
		{kind(SpeaksTLS),
			"the port wants TLS: write ssl:// (or wss://) in CHATRELAY_MQTT_URL, or name the port without TLS",
			"the port wants TLS from the first byte: set CHATRELAY_XMPP_TLS=direct, or name the port for STARTTLS (5222) in CHATRELAY_XMPP_ADDR"},
		{kind(SpeaksXMPP), "that is an XMPP server: name the broker in CHATRELAY_MQTT_URL", ""},
		{kind(SpeaksHTTP),
			"that is a web server: name the broker's MQTT port in CHATRELAY_MQTT_URL, or write ws:// (wss://) with the broker's path",
			"that is a web server: name the server's port for clients (5222) in CHATRELAY_XMPP_ADDR"},
		{kind(HostUnknown), "",
			"the server has no such domain: mend the domain of CHATRELAY_XMPP_JID, or name the server that has it in CHATRELAY_XMPP_ADDR"},
		{kind(TLSDemanded), "", "set CHATRELAY_XMPP_TLS=starttls, and CHATRELAY_XMPP_CA_FILE where the authority is your own"},
		{kind(PlainOnly), "", "set CHATRELAY_XMPP_TLS=starttls or direct: without TLS the relay never sends the password as it is. Or let the server offer SCRAM"},
		{expired,
			"renew the broker's certificate, or set this machine's clock",
			"renew the server's certificate, or set this machine's clock"},
		{as[x509.UnknownAuthorityError],
			"set CHATRELAY_MQTT_CA_FILE to the authority that has signed the broker's certificate",
			"set CHATRELAY_XMPP_CA_FILE to the authority that has signed the server's certificate"},
		{as[x509.HostnameError],
			"name the broker in CHATRELAY_MQTT_URL as its certificate does",
			"the server's certificate must be for the domain of CHATRELAY_XMPP_JID, whatever CHATRELAY_XMPP_ADDR names"},
		{as[tls.RecordHeaderError],
			"the port speaks no TLS: write tcp:// (or ws://) in CHATRELAY_MQTT_URL, or name the broker's TLS port (8883)",
			"the port does not begin with TLS: set CHATRELAY_XMPP_TLS=starttls, or name the port for direct TLS (5223) in CHATRELAY_XMPP_ADDR"},
		{as[*tls.CertificateVerificationError],
			"the broker's certificate must be for the host in CHATRELAY_MQTT_URL, and signed by an authority in CHATRELAY_MQTT_CA_FILE",
			"the server's certificate must be for the domain of CHATRELAY_XMPP_JID, and signed by an authority in CHATRELAY_XMPP_CA_FILE"},
		{as[tls.AlertError],
			"the broker refuses the TLS login: check CHATRELAY_MQTT_CERT_FILE and CHATRELAY_MQTT_KEY_FILE",
			"the server refuses TLS as the relay speaks it (1.2 and later): check the server's TLS settings"},
		{as[*net.DNSError],
			"check the host's name in CHATRELAY_MQTT_URL",
			"set CHATRELAY_XMPP_ADDR, or mend the SRV records of the domain in CHATRELAY_XMPP_JID"},
		{is(syscall.ECONNREFUSED),
			"nobody listens there: start the broker, or mend host and port in CHATRELAY_MQTT_URL (in a container localhost is the container)",
			"nobody listens there: start the server, or mend CHATRELAY_XMPP_ADDR (in a container localhost is the container)"},
		{is(os.ErrDeadlineExceeded),
			"no answer: check host and port in CHATRELAY_MQTT_URL, and firewalls",
			"no answer: check CHATRELAY_XMPP_ADDR and CHATRELAY_XMPP_TLS, and firewalls"},
		{func(error) bool { return true },
			"check CHATRELAY_MQTT_URL, CHATRELAY_MQTT_CA_FILE, and that the broker runs",
			"check CHATRELAY_XMPP_ADDR, CHATRELAY_XMPP_TLS, and that the server runs"},
	}
}

// For is what mends an error of a connection.
func For(s Side, err error) string {
	for _, r := range table() {
		text := r.mqtt
		if s == XMPP {
			text = r.xmpp
		}
		if text != "" && r.is(err) {
			return text
		}
	}
	return ""
}

func kind(k Kind) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*Error](err)
		return ok && e.Kind == k
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func as[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func expired(err error) bool {
	e, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && e.Reason == x509.Expired
}

// Speaks tells by its first bytes what a far end speaks that should have spoken something else; empty: that does not show.
func Speaks(first []byte) Kind {
	switch {
	case len(first) >= 2 && (first[0] == 0x15 || first[0] == 0x16) && first[1] == 0x03: // RFC 8446 §5.1: alert, handshake
		return SpeaksTLS
	case len(first) >= 4 && string(first[:4]) == "HTTP":
		return SpeaksHTTP
	case len(first) >= 1 && first[0] == '<':
		return SpeaksXMPP
	}
	return ""
}
