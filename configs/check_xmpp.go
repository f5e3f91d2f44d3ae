package configs

import (
	"net"
	"strconv"
	"strings"
	"unicode"

	"mellium.im/xmpp/jid"
)

// Account is the local part of the relay's address: a name that no landline may have.
func (x *XMPP) Account() string {
	name, _, _ := strings.Cut(x.JID, "@")
	return name
}

// Domain is where landlines live.
func (x *XMPP) Domain() string {
	if x.UserDomain != "" {
		return x.UserDomain
	}
	_, domain, _ := strings.Cut(x.JID, "@")
	return domain
}

func (x *XMPP) check() (out Problems) {
	if x.JID == "" {
		out.say(true, "XMPP_JID", "is missing", "set it to the relay's own account, such as receiver@example.org")
	} else {
		wrong, remedy := bareJID(x.JID)
		if wrong == "has a resource" {
			remedy += ", and the resource in CHATRELAY_XMPP_RESOURCE"
		}
		out.say(wrong != "", "XMPP_JID", "is "+quoted(x.JID)+" and "+wrong, remedy)
	}
	out.secret("XMPP_PASSWORD", x.Password, x.PasswordFile)
	out.say(x.Secret() == nil, "XMPP_PASSWORD", "is missing", "set it, or CHATRELAY_XMPP_PASSWORD_FILE")
	host, port, err := net.SplitHostPort(x.Addr)
	n, _ := strconv.Atoi(port)
	out.say(x.Addr != "" && (err != nil || host == "" || n < 1 || n > 65535), "XMPP_ADDR", "is "+quoted(x.Addr), "write host:port, such as chat.example.org:5222")
	out.security(x)
	out.say(x.CAFile != "" && x.TLS == "off", "XMPP_CA_FILE", "is set, but CHATRELAY_XMPP_TLS is off", "leave one of them out")
	out.say(x.UserDomain != "" && !isDomain(x.UserDomain), "XMPP_USER_DOMAIN", "is "+quoted(x.UserDomain), "write a domain in lower case, such as example.org")
	out.name("XMPP_RESOURCE", x.Resource)
	out.name("XMPP_NICK", x.Nick)
	out.addresses("XMPP_ROOMS", x.Rooms)
	return out
}

// security keeps passwords off the wire. Names are not looked up: what they mean could change.
func (p *Problems) security(x *XMPP) {
	p.oneOf("XMPP_TLS", x.TLS, "starttls", "direct", "off")
	host := x.Domain()
	if x.UserDomain != "" {
		_, host, _ = strings.Cut(x.JID, "@")
	}
	if x.Addr != "" {
		host, _, _ = net.SplitHostPort(x.Addr) // one that cannot be read is reported above
	}
	p.say(x.TLS == "off" && !x.TLSInsecure && !loopback(host), "XMPP_TLS", "is off, and the server is not on loopback",
		"write starttls or direct (or CHATRELAY_XMPP_TLS_INSECURE=true, if anybody on the way may read the password and all messages)")
}

// name wants a part after the slash in the form in which it is compared (RFC 7622 §3.4).
func (p *Problems) name(variable, value string) {
	j, err := jid.New("a", "example.org", value)
	bad := value == "" || len(value) > longestXMPPRes || strings.ContainsFunc(value, unicode.IsControl) || err != nil || j.Resourcepart() != value
	p.say(bad, variable, "is "+quoted(value), "write a short name without control characters, such as chatrelay")
}

func isDomain(text string) bool {
	j, err := jid.Parse(text)
	return err == nil && j.Localpart() == "" && j.Resourcepart() == "" && j.String() == text
}
