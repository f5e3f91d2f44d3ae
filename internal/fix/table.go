package fix

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

// row says what mends one kind of error; empty: that side never has it.
type row struct {
	is         func(error) bool
	mqtt, xmpp string
}

// table is in order: the first row that fits counts.
func table() []row {
	return append(append(protocolRows(), kindRows()...), typeRows()...)
}

// protocolRows are for a port that speaks another protocol.
func protocolRows() []row {
	return []row{
		{speaks(TLS),
			"the port wants TLS: write ssl:// (wss:// for WebSocket) in CHATRELAY_MQTT_URL, or name the broker's port without TLS (1883)",
			"the port wants TLS from the first byte: set CHATRELAY_XMPP_TLS=direct, or name the server's port for STARTTLS (5222) in CHATRELAY_XMPP_ADDR"},
		{speaks(MQTT),
			"the port speaks MQTT without TLS or WebSocket: write tcp:// in CHATRELAY_MQTT_URL, or name the broker's port for TLS (8883) or WebSocket",
			"this is an MQTT broker: name the XMPP server in CHATRELAY_XMPP_ADDR"},
		{speaks(XMPP),
			"this is an XMPP server: name the MQTT broker in CHATRELAY_MQTT_URL",
			"the port does not begin with TLS: set CHATRELAY_XMPP_TLS=starttls, or name the server's port for direct TLS (5223) in CHATRELAY_XMPP_ADDR"},
		{speaks(HTTP),
			"this is a web server: name the broker's MQTT port in CHATRELAY_MQTT_URL, or write ws:// (wss://) with the broker's path",
			"this is a web server: name the XMPP server's port for clients (5222) in CHATRELAY_XMPP_ADDR"},
	}
}

// kindRows are for what a side finds out.
func kindRows() []row {
	return []row{
		{kind(BadLogin),
			"check CHATRELAY_MQTT_USERNAME and CHATRELAY_MQTT_PASSWORD, and that the broker lets this user in",
			"check CHATRELAY_XMPP_PASSWORD and CHATRELAY_XMPP_JID"},
		{kind(BadClientID), "change CHATRELAY_MQTT_CLIENT_ID, or let the broker accept it", ""},
		{kind(BadSecret), "", "check CHATRELAY_XMPP_PASSWORD and CHATRELAY_XMPP_JID: the server must have a component of that name, with this secret"},
		{kind(BadScram), "", "check CHATRELAY_XMPP_ADDR and the server's SASL settings"},
		{kind(HostUnknown), "",
			"the server does not serve this domain: correct the domain in CHATRELAY_XMPP_JID, or name the server that serves it in CHATRELAY_XMPP_ADDR"},
		{kind(NoComponent), "",
			"the server has no component of that name: add one for CHATRELAY_XMPP_JID to its configuration, or correct CHATRELAY_XMPP_JID or CHATRELAY_XMPP_ADDR"},
		{kind(NoMechanism), "", "let the server in CHATRELAY_XMPP_ADDR offer SCRAM-SHA-256, SCRAM-SHA-1 or PLAIN (over TLS)"},
		{kind(NoPassword),
			"set CHATRELAY_MQTT_PASSWORD, or let CHATRELAY_MQTT_PASSWORD_FILE name a file that the relay may read",
			"set CHATRELAY_XMPP_PASSWORD, or let CHATRELAY_XMPP_PASSWORD_FILE name a file that the relay may read"},
		{kind(NoTLS), "",
			"the server offers no TLS: give it a certificate, or name its port for direct TLS in CHATRELAY_XMPP_ADDR with CHATRELAY_XMPP_TLS=direct (CHATRELAY_XMPP_TLS=off is for loopback)"},
		{kind(NoWebsocket), "check the path in CHATRELAY_MQTT_URL (Mosquitto takes any, others want /mqtt or /ws), and that the port is the broker's for WebSocket", ""},
		{kind(PlainOnly), "",
			"set CHATRELAY_XMPP_TLS=starttls or direct: without TLS the relay does not send the password as it is. Or let the server offer SCRAM"},
		{kind(TLSDemanded), "", "the server wants TLS: set CHATRELAY_XMPP_TLS=starttls, and CHATRELAY_XMPP_CA_FILE if its authority is your own"},
		{kind(Taken), "", "stop the other relay, or give this one a name of its own in CHATRELAY_XMPP_JID; or, if it is this relay's connection of before, wait until the server notices that it is gone (Prosody lets the new one in at once with component_conflict_resolve = \"kick_old\")"},
		{kind(NoQoS), "let the broker take QoS 1 or 2 (Mosquitto: max_qos), or name another one in CHATRELAY_MQTT_URL", ""},
		{kind(Unavailable), "look at the broker's log (CHATRELAY_MQTT_URL); it is tried again", "look at the server's log (CHATRELAY_XMPP_ADDR); it is tried again"},
	}
}

// typeRows are for errors that Go makes. The last one is for all that are left.
func typeRows() []row {
	return []row{
		{expired,
			"renew the broker's certificate (CHATRELAY_MQTT_URL), or set the clock of this machine",
			"renew the server's certificate (CHATRELAY_XMPP_JID), or set the clock of this machine"},
		{as[x509.UnknownAuthorityError],
			"set CHATRELAY_MQTT_CA_FILE to the authority that signed the broker's certificate",
			"set CHATRELAY_XMPP_CA_FILE to the authority that signed the server's certificate"},
		{as[x509.HostnameError],
			"name the broker in CHATRELAY_MQTT_URL as its certificate does",
			"the server's certificate must be for the domain of CHATRELAY_XMPP_JID, whatever CHATRELAY_XMPP_ADDR names"},
		{as[*tls.CertificateVerificationError],
			"the broker's certificate must be for the host in CHATRELAY_MQTT_URL, and signed by an authority in CHATRELAY_MQTT_CA_FILE",
			"the server's certificate must be for the domain of CHATRELAY_XMPP_JID, and signed by an authority in CHATRELAY_XMPP_CA_FILE"},
		{alert,
			"the broker refuses the relay's TLS: check CHATRELAY_MQTT_CERT_FILE and CHATRELAY_MQTT_KEY_FILE, and that the broker has TLS 1.2 or later",
			"the server refuses the relay's TLS: check that it has TLS 1.2 or later and a certificate for the domain of CHATRELAY_XMPP_JID"},
		{as[*net.DNSError],
			"check the host name in CHATRELAY_MQTT_URL",
			"set CHATRELAY_XMPP_ADDR, or correct the SRV records of the domain in CHATRELAY_XMPP_JID"},
		{is(syscall.ECONNREFUSED),
			"nobody listens there: start the broker, or correct host and port in CHATRELAY_MQTT_URL (in a container localhost is the container)",
			"nobody listens there: start the server, or correct CHATRELAY_XMPP_ADDR (in a container localhost is the container)"},
		{as[*Silent],
			"check host and port in CHATRELAY_MQTT_URL, what stands before the broker (a proxy, a load balancer), and the broker's log",
			"check CHATRELAY_XMPP_ADDR and CHATRELAY_XMPP_TLS, what stands before the server (a proxy, a load balancer), and the server's log"},
		{reset,
			"the broker ends the connection: look at its log; if it wants client certificates, set CHATRELAY_MQTT_CERT_FILE and CHATRELAY_MQTT_KEY_FILE",
			"the server ends the connection: look at its log (CHATRELAY_XMPP_ADDR)"},
		{unreachable,
			"no answer: check host and port in CHATRELAY_MQTT_URL, and firewalls",
			"no answer: check CHATRELAY_XMPP_ADDR and CHATRELAY_XMPP_TLS, and firewalls"},
		{func(error) bool { return true },
			"check CHATRELAY_MQTT_URL and CHATRELAY_MQTT_CA_FILE, and look at the broker's log",
			"check CHATRELAY_XMPP_ADDR and CHATRELAY_XMPP_TLS, and look at the server's log"},
	}
}

// For is what mends an error of a side's connection. The side is MQTT or XMPP.
func For(side Protocol, err error) string {
	for _, r := range table() {
		text := r.mqtt
		if side == XMPP {
			text = r.xmpp
		}
		if text != "" && r.is(err) {
			return text
		}
	}
	return ""
}

func speaks(p Protocol) func(error) bool {
	return func(err error) bool {
		if e, ok := errors.AsType[*Speaks](err); ok {
			return e.Protocol == p
		}
		e, ok := errors.AsType[tls.RecordHeaderError](err)
		return ok && protocolOf(e.RecordHeader[:]) == p
	}
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

// Certificate tells whether the far end's certificate is not trusted: somebody has to put that right first.
func Certificate(err error) bool { return as[*tls.CertificateVerificationError](err) }

// expired: or not yet valid. Go has one reason for both.
func expired(err error) bool {
	e, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && e.Reason == x509.Expired
}

// alert: the far end has answered with a TLS alert (crypto/tls gives it no type of its own).
func alert(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error"
}

func reset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func unreachable(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout() || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}
