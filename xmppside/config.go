package xmppside

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"mellium.im/xmpp/jid"

	"chatrelay/message"
)

// Config is what the side needs to know. JID and Password are required.
type Config struct {
	JID string // bare: the relay's account
	// Password is asked for at each login, so that a rotated secret file works.
	Password func() (string, error)
	Addr     string // host:port; empty: what the DNS says of the JID's domain (SRV)
	TLS      string // "starttls" (also empty), "direct", "off"
	CAFile   string // empty: the system's roots; read at each connect

	UserDomain     string            // where landlines live; empty: the domain of JID
	Resource, Nick string            // empty: "chatrelay"
	Rooms          []string          // served rooms, bare JIDs
	Identity       map[string]string // landline to bare JID, where it is not <landline>@UserDomain
	Trusted        []string          // bare JIDs that may speak for others
	Landline       func(string) bool // nil: message.DefaultLandline

	MaxMessage int // bytes of a body; 0: 192 KiB
	Version    string
	Drain      time.Duration // 0: 10 s
	Log        zerolog.Logger
}

// The values of Config.TLS.
const (
	tlsStart  = "starttls"
	tlsDirect = "direct"
	tlsOff    = "off"
)

const (
	defaultName       = "chatrelay"
	defaultMaxMessage = 192 << 10
	defaultDrain      = 10 * time.Second
)

// Fixed is a Password that never changes.
func Fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

// prepare fills in defaults and reports every problem at once. The Config is the side's own afterwards.
func (c *Config) prepare() (me jid.JID, err error) {
	c.TLS = cmp.Or(c.TLS, tlsStart)
	c.Resource, c.Nick = cmp.Or(c.Resource, defaultName), cmp.Or(c.Nick, defaultName)
	c.MaxMessage, c.Drain = cmp.Or(c.MaxMessage, defaultMaxMessage), cmp.Or(c.Drain, defaultDrain)
	if c.Landline == nil {
		c.Landline = message.DefaultLandline
	}
	c.Rooms = slices.Compact(slices.Sorted(slices.Values(c.Rooms)))
	var out problems
	me, why := bareJID(c.JID)
	out.say(why != "", "CHATRELAY_XMPP_JID %q %s", c.JID, why)
	c.UserDomain = cmp.Or(c.UserDomain, me.Domainpart())
	c.problems(&out)
	return me, errors.Join(out...)
}

// problems gathers what is wrong.
type problems []error

func (p *problems) say(bad bool, format string, args ...any) {
	if bad {
		*p = append(*p, fmt.Errorf("xmpp: "+format, args...))
	}
}

func (c *Config) problems(out *problems) {
	out.say(c.Password == nil, "CHATRELAY_XMPP_PASSWORD is not set")
	if c.Addr != "" {
		host, port, err := net.SplitHostPort(c.Addr)
		n, _ := strconv.Atoi(port)
		out.say(err != nil || host == "" || n < 1 || n > 65535, "CHATRELAY_XMPP_ADDR %q: write host:port", c.Addr)
	}
	out.say(c.TLS != tlsStart && c.TLS != tlsDirect && c.TLS != tlsOff,
		"CHATRELAY_XMPP_TLS is %q: it must be starttls, direct or off", c.TLS)
	if _, err := roots(c.CAFile); err != nil {
		out.say(true, "%v", err)
	}
	domain, err := jid.New("", c.UserDomain, "")
	out.say(c.UserDomain != "" && (err != nil || domain.String() != c.UserDomain),
		"CHATRELAY_XMPP_USER_DOMAIN %q is not a domain in its usual form", c.UserDomain)
	for name, value := range map[string]string{"RESOURCE": c.Resource, "NICK": c.Nick} {
		full, err := jid.New("a", "example.org", value)
		out.say(err != nil || full.Resourcepart() != value, "CHATRELAY_XMPP_%s %q cannot be a resource", name, value)
	}
	for _, room := range c.Rooms {
		_, why := bareJID(room)
		out.say(why != "", "CHATRELAY_XMPP_ROOMS: %q %s", room, why)
	}
	for _, t := range c.Trusted {
		_, why := bareJID(t)
		out.say(why != "", "CHATRELAY_TRUSTED_JIDS: %q %s", t, why)
	}
	out.say(c.MaxMessage < 0, "CHATRELAY_MAX_MESSAGE is negative")
	out.say(c.Drain < 0, "CHATRELAY_DRAIN_TIMEOUT is negative")
	c.identities(out)
}

// identities checks that no address is ambiguous: each must name one person.
func (c *Config) identities(out *problems) {
	owner := make(map[string]string, len(c.Identity))
	for _, l := range slices.Sorted(maps.Keys(c.Identity)) {
		address := c.Identity[l]
		_, why := bareJID(address)
		out.say(why != "", "CHATRELAY_IDENTITY_FILE: %s: %q %s", l, address, why)
		out.say(!c.Landline(l), "CHATRELAY_IDENTITY_FILE: %q is not a landline (CHATRELAY_LANDLINE_PATTERN)", l)
		out.say(address == c.JID, "CHATRELAY_IDENTITY_FILE: %s: that is the relay's own account", l)
		out.say(slices.Contains(c.Rooms, address), "CHATRELAY_IDENTITY_FILE: %s: %s is a room", l, address)
		if other, taken := owner[address]; taken {
			out.say(true, "CHATRELAY_IDENTITY_FILE: %s and %s have the same address %s", other, l, address)
		}
		owner[address] = l
	}
}

// bareJID reads an address that must be written as it will appear on the wire; why says what is wrong.
func bareJID(s string) (j jid.JID, why string) {
	j, err := jid.Parse(s)
	switch {
	case s == "":
		return j, "is empty: write name@domain"
	case err != nil:
		return j, fmt.Sprintf("is not a JID (%v): write name@domain", err)
	case j.Localpart() == "" || j.Resourcepart() != "":
		return j, "is not a bare JID: write name@domain"
	case j.String() != s:
		return j, fmt.Sprintf("is not in its usual form: write %s", j)
	}
	return j, ""
}

// login is the password for one attempt.
func (c *Config) login() (string, error) {
	password, err := c.Password()
	if err != nil {
		return "", fmt.Errorf("cannot read the password (CHATRELAY_XMPP_PASSWORD_FILE): %w", err)
	}
	if strings.TrimSpace(password) == "" {
		return "", errors.New("the password is empty: set CHATRELAY_XMPP_PASSWORD or CHATRELAY_XMPP_PASSWORD_FILE")
	}
	return password, nil
}
