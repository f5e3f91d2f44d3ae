package configs

import (
	"net"
	"strconv"
	"strings"
	"unicode"

	"mellium.im/xmpp/jid"
)

// The values of XMPP.Mode.
const (
	clientMode    = "client"
	componentMode = "component"
)

// The values of XMPP.Body.
const (
	jsonBody = "json"
	textBody = "text"
)

// Component tells whether the relay is one (XEP-0114).
func (x *XMPP) Component() bool { return x.Mode == componentMode }

// Security is how the connection is encrypted: starttls, direct or off. A component that does not say is taken to be beside its server.
func (x *XMPP) Security() string {
	switch {
	case x.TLS != "":
		return x.TLS
	case x.Component():
		return "off"
	}
	return "starttls"
}

// The values of Messages.RoomTalk.
const (
	envelopesOnly = "envelopes"
	allTalk       = "all"
)

// AllRoomTalk tells whether plain talk in a room is a message, too.
func (c *Config) AllRoomTalk() bool {
	return c.Messages.RoomTalk == allTalk || c.Messages.RoomTalk == "" && c.XMPP.Component()
}

// Text tells whether people write and read texts, rather than envelopes.
func (x *XMPP) Text() bool { return x.Body == textBody || x.Body == "" && x.Component() }

// Account is the local part of the relay's address: a name that no landline may have. A component has none.
func (x *XMPP) Account() string {
	name, _, _ := strings.Cut(x.JID, "@")
	if x.Component() {
		return ""
	}
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
	out.oneOf("XMPP_MODE", x.Mode, clientMode, componentMode)
	if x.Body != "" {
		out.oneOf("XMPP_BODY", x.Body, jsonBody, textBody)
	}
	out.say(x.Body == textBody && !x.Component(), "XMPP_BODY", "is text, but CHATRELAY_XMPP_MODE is not component", "leave one of them out: in a text nothing says who it is for")
	if x.Component() {
		out.component(x)
	} else {
		out.account(x)
	}
	out.secret("XMPP_PASSWORD", x.Password, x.PasswordFile)
	out.say(x.Secret() == nil, "XMPP_PASSWORD", "is missing", "set it, or CHATRELAY_XMPP_PASSWORD_FILE")
	host, port, err := net.SplitHostPort(x.Addr)
	n, _ := strconv.Atoi(port)
	out.say(x.Addr != "" && (err != nil || host == "" || n < 1 || n > 65535), "XMPP_ADDR", "is "+quoted(x.Addr), "write host:port, such as chat.example.org:5222")
	out.security(x)
	out.say(x.CAFile != "" && x.Security() == "off", "XMPP_CA_FILE", "is set, but CHATRELAY_XMPP_TLS is off", "leave one of them out")
	out.say(x.UserDomain != "" && !isDomain(x.UserDomain), "XMPP_USER_DOMAIN", "is "+quoted(x.UserDomain), "write a domain in lower case, such as example.org")
	out.name("XMPP_RESOURCE", x.Resource)
	out.name("XMPP_NICK", x.Nick)
	out.addresses("XMPP_ROOMS", x.Rooms)
	return out
}

func (p *Problems) account(x *XMPP) {
	if x.JID == "" {
		p.say(true, "XMPP_JID", "is missing", "set it to the relay's own account, such as receiver@example.org")
		return
	}
	wrong, remedy := bareJID(x.JID)
	if wrong == "has a resource" {
		remedy += ", and the resource in CHATRELAY_XMPP_RESOURCE"
	}
	p.say(wrong != "", "XMPP_JID", "is "+quoted(x.JID)+" and "+wrong, remedy)
}

// component wants what nothing else tells of one.
func (p *Problems) component(x *XMPP) {
	p.say(x.JID == "", "XMPP_JID", "is missing", "set it to the component's domain, such as relay.example.org")
	p.say(x.JID != "" && !isDomain(x.JID), "XMPP_JID", "is "+quoted(x.JID), "write the component's domain in lower case, such as relay.example.org: CHATRELAY_XMPP_MODE is component")
	p.say(x.UserDomain == "", "XMPP_USER_DOMAIN", "is missing", "set it to the domain where people have their accounts, such as example.org")
	p.say(x.UserDomain != "" && x.UserDomain == x.JID, "XMPP_USER_DOMAIN", "is the component's own domain", "set it to the domain where people have their accounts, such as example.org")
	p.say(x.Addr == "", "XMPP_ADDR", "is missing", "set it to host:port where the server listens for components, such as localhost:5347")
	p.say(x.TLS == "starttls", "XMPP_TLS", "is starttls, which no server has for components", "write off, with the server on loopback, or direct")
}

// security keeps passwords off the wire. Names are not looked up: what they mean could change.
func (p *Problems) security(x *XMPP) {
	p.oneOf("XMPP_TLS", x.Security(), "starttls", "direct", "off")
	host := x.Domain()
	if x.UserDomain != "" {
		_, host, _ = strings.Cut(x.JID, "@")
	}
	if x.Addr != "" {
		host, _, _ = net.SplitHostPort(x.Addr) // one that cannot be read is reported above
	}
	better := "starttls or direct"
	if x.Component() {
		if x.Addr == "" {
			return // that is reported above, and where the server is nobody knows
		}
		better = "direct"
	}
	p.say(x.Security() == "off" && !x.TLSInsecure && !loopback(host), "XMPP_TLS", "is off, and the server is not on loopback",
		"write "+better+" (or CHATRELAY_XMPP_TLS_INSECURE=true, if anybody on the way may read the password and all messages)")
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
