package mqttside

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/message"
	"chatrelay/mqttside/session"
)

// Config is what the side needs to know. URLs, ClientID and Prefix are required.
type Config struct {
	URLs     []string // tcp, mqtt, ssl, tls, mqtts, ws, wss; tried in this order at each connect
	Username string
	// Password is asked for at each login, so that a rotated secret file works. nil: none.
	Password func() (string, error)
	ClientID string

	// Roots and Certificates are asked for at each connect, so that renewed ones count. nil: the system's, and none.
	Roots        func() *x509.CertPool
	Certificates func() []tls.Certificate
	// Verified is called in each TLS handshake once the broker's certificate is found right. nil: nobody looks.
	Verified func(tls.ConnectionState) error
	// Lost is called with one of few fixed words each time a connection ends that was in use. nil: nobody counts.
	Lost func(reason string)

	QoS         byte   // of what is published to inboxes: 1 or 2
	Window      int    // messages in flight, at most; 0: half of the broker's limit up to 400, 10 where it is not told
	Version     byte   // of MQTT: 5 or 3 alone; 0: the best that the broker knows
	Prefix      string // inbox of 1001 is Prefix/1001
	StatusTopic string // empty: none
	Presence    string // the topics on which devices say whether they are there, with + for the landline; empty: none
	MaxMessage  int    // bytes of a payload; 0: 192 KiB
	Drain       time.Duration
	// SessionExpiry is how long the broker keeps the session while the relay is away, by MQTT 5; 0: 336 hours.
	SessionExpiry time.Duration

	// Room tells whether the journal takes messages again: until then what was dropped stays with the broker, and
	// nothing is gained by asking for it. nil: always.
	HasSpace func() bool

	// Present is told what they say. It never waits.
	Present func(landline string, p bridge.Presence)

	Landline func(string) bool // nil: message.DefaultLandline
	Own      string            // the relay's own account name, no landline
	Log      zerolog.Logger
}

const (
	defaultWindow     = 10 // half of Mosquitto's default in-flight limit
	autoWindow        = 400
	defaultExpiry     = 14 * 24 * time.Hour
	defaultMaxMessage = 192 << 10
	defaultDrain      = 10 * time.Second
)

// Fixed is a Password that never changes.
func Fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

// prepare fills in defaults. What a setting may be, configs says.
func (c *Config) prepare() ([]*url.URL, error) {
	if c.SessionExpiry == 0 {
		c.SessionExpiry = defaultExpiry
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = defaultMaxMessage
	}
	if c.Drain == 0 {
		c.Drain = defaultDrain
	}
	if c.HasSpace == nil {
		c.HasSpace = func() bool { return true }
	}
	if c.Landline == nil {
		c.Landline = message.DefaultLandline
	}
	if c.Roots == nil {
		c.Roots = func() *x509.CertPool { return nil }
	}
	if c.Certificates == nil {
		c.Certificates = func() []tls.Certificate { return nil }
	}
	return parseURLs(c.URLs)
}

// parseURLs reads what configs has checked.
func parseURLs(texts []string) ([]*url.URL, error) {
	urls := make([]*url.URL, len(texts))
	for i, text := range texts {
		u, err := url.Parse(text)
		if err != nil || session.DefaultPort(u.Scheme) == "" || u.Hostname() == "" { // its text would show a password
			return nil, fmt.Errorf("mqtt: CHATRELAY_MQTT_URL has no broker's address in place %d", i+1)
		}
		urls[i] = u
	}
	if len(urls) == 0 {
		return nil, errors.New("mqtt: CHATRELAY_MQTT_URL is empty")
	}
	return urls, nil
}

// longestPublish is the length of the longest PUBLISH that can be of use, behind its fixed header.
func (c *Config) longestPublish() int { return 2 + maxPrefix + 64<<10 + 2 + c.MaxMessage + 1 }

// login is the name and password for one attempt. Those in the URL count when no others are set.
func (c *Config) login(u *url.URL) (user, password string, err error) {
	if c.Username == "" && u.User != nil {
		password, _ = u.User.Password()
		return u.User.Username(), password, nil
	}
	if c.Password == nil || c.Username == "" {
		return c.Username, "", nil
	}
	if password, err = c.Password(); err != nil {
		return "", "", &fix.Error{Kind: fix.NoPassword, Err: fmt.Errorf("cannot read the password (CHATRELAY_MQTT_PASSWORD_FILE): %w", err)}
	}
	return c.Username, password, nil
}
