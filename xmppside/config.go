package xmppside

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"mellium.im/xmpp/jid"

	"chatrelay/internal/fix"
	"chatrelay/message"
)

// Clients is what people's clients are understood in, shown, and asked.
type Clients struct {
	Texts          bool // bodies are texts that people read, instead of envelopes; of a component only
	Rooms          bool // texts in rooms are messages, too
	Presence       bool // devices say whether they are there (Side.Present); else a landline is while the relay is
	Received, Read bool // clients are asked to say so of each text
}

// Config is what the side needs to know. JID and Password are required.
type Config struct {
	// Component: the relay is a component (XEP-0114), and each landline an address of its domain.
	Component bool
	Clients   Clients
	JID       string // bare: the relay's account, or the component's domain
	// Password is asked for at each login, so that a rotated secret file works.
	Password func() (string, error)
	Addr     string // host:port; empty: what the DNS says of the JID's domain (SRV)
	TLS      string // "starttls" (also empty), "direct", "off"
	// Roots is asked for at each connect, so that renewed ones count. nil: the system's.
	Roots func() *x509.CertPool
	// Verified is called in each TLS handshake once the server's certificate is found right. nil: nobody looks.
	Verified func(tls.ConnectionState) error
	// Lost is called with one of few fixed words each time a connection ends that was in use. nil: nobody counts.
	Lost func(reason string)

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

// prepare fills in defaults. What a setting may be, configs says. The Config is the side's own afterwards.
func (c *Config) prepare() (me jid.JID, err error) {
	c.TLS = cmp.Or(c.TLS, tlsStart)
	c.Resource, c.Nick = cmp.Or(c.Resource, defaultName), cmp.Or(c.Nick, defaultName)
	c.MaxMessage, c.Drain = cmp.Or(c.MaxMessage, defaultMaxMessage), cmp.Or(c.Drain, defaultDrain)
	if c.Landline == nil {
		c.Landline = message.DefaultLandline
	}
	c.Rooms = slices.Compact(slices.Sorted(slices.Values(c.Rooms)))
	if c.Roots == nil {
		c.Roots = func() *x509.CertPool { return nil }
	}
	me, err = jid.Parse(c.JID)
	switch {
	case err != nil || me.Resourcepart() != "" || (me.Localpart() == "") != c.Component:
		return me, fmt.Errorf("xmpp: CHATRELAY_XMPP_JID %q is no bare JID, or no domain where the relay is a component", c.JID)
	case c.Component && (c.UserDomain == "" || c.UserDomain == c.JID || c.Addr == "" || c.TLS == tlsStart):
		return me, errors.New("xmpp: a component needs a user domain other than its own, an address, and a TLS mode that is not starttls")
	}
	c.UserDomain = cmp.Or(c.UserDomain, me.Domainpart())
	return me, nil
}

// login is the password for one attempt.
func (c *Config) login() (string, error) {
	password, err := c.Password()
	if err != nil {
		return "", &fix.Error{Kind: fix.NoPassword, Err: fmt.Errorf("cannot read the password (CHATRELAY_XMPP_PASSWORD_FILE): %w", err)}
	}
	if strings.TrimSpace(password) == "" {
		return "", &fix.Error{Kind: fix.NoPassword, Err: errors.New("the password is empty")}
	}
	return password, nil
}
