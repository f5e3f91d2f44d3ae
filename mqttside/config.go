package mqttside

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/message"
)

// Config is what the side needs to know. URLs, ClientID and Prefix are required.
type Config struct {
	URLs     []string // tcp, mqtt, ssl, tls, mqtts, ws, wss; tried in this order at each connect
	Username string
	// Password is asked for at each login, so that a rotated secret file works. nil: none.
	Password func() (string, error)
	ClientID string

	CAFile, CertFile, KeyFile string // read at each connect

	QoS         byte   // of what is published to inboxes: 1 or 2
	Window      int    // messages in flight, at most; 0: 10
	Prefix      string // inbox of 1001 is Prefix/1001
	StatusTopic string // empty: none
	MaxMessage  int    // bytes of a payload; 0: 192 KiB
	Drain       time.Duration

	// Room tells whether the journal takes messages again: until then what was dropped stays with the broker, and
	// nothing is gained by asking for it. nil: always.
	HasSpace func() bool

	Landline func(string) bool // nil: message.DefaultLandline
	Own      string            // the relay's own account name, no landline
	Log      zerolog.Logger
}

const (
	defaultWindow     = 10 // half of Mosquitto's default in-flight limit
	defaultMaxMessage = 192 << 10
	defaultDrain      = 10 * time.Second
)

// Fixed is a Password that never changes.
func Fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

// prepare fills in defaults and reports every problem at once.
func (c *Config) prepare() ([]*url.URL, error) {
	if c.Window == 0 {
		c.Window = defaultWindow
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
	urls, problems := parseURLs(c.URLs)
	return urls, errors.Join(append(problems, c.problems(urls)...)...)
}

func (c *Config) problems(urls []*url.URL) []error {
	var out []error
	say := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Errorf("mqtt: "+format, args...))
		}
	}
	say(c.ClientID == "", "CHATRELAY_MQTT_CLIENT_ID is empty: a session that is kept needs a fixed name")
	say(strings.ContainsFunc(c.ClientID, control) || len(c.ClientID) > 200,
		"CHATRELAY_MQTT_CLIENT_ID must be at most 200 bytes without control characters")
	say(c.QoS != 1 && c.QoS != 2, "CHATRELAY_MQTT_QOS is %d: it must be 1 or 2, for at 0 nothing is ever confirmed", c.QoS)
	say(c.Window < 1 || c.Window > maxWindow, "CHATRELAY_MQTT_WINDOW is %d: it must be from 1 to %d", c.Window, maxWindow)
	say(c.MaxMessage < 0, "CHATRELAY_MAX_MESSAGE is negative")
	say(!plainTopic(c.Prefix) || strings.HasSuffix(c.Prefix, "/") || len(c.Prefix) > maxPrefix,
		"CHATRELAY_TOPIC_PREFIX %q: it must not be empty, end in / or contain +, # or control characters", c.Prefix)
	say(strings.HasPrefix(c.Prefix, "$"), "CHATRELAY_TOPIC_PREFIX %q: topics that begin with $ are the broker's own", c.Prefix)
	say(c.StatusTopic != "" && !plainTopic(c.StatusTopic),
		"CHATRELAY_STATUS_TOPIC %q: it must not contain +, # or control characters (off: none)", c.StatusTopic)
	_, isInbox := strings.CutPrefix(c.StatusTopic, c.Prefix+"/")
	say(c.StatusTopic != "" && c.Prefix != "" && isInbox,
		"CHATRELAY_STATUS_TOPIC %q lies among the inboxes below %s/", c.StatusTopic, c.Prefix)
	say((c.CertFile == "") != (c.KeyFile == ""), "CHATRELAY_MQTT_CERT_FILE and CHATRELAY_MQTT_KEY_FILE go together")
	for _, u := range urls {
		if secure(u) {
			_, err := tlsConfig(c, u)
			say(err != nil, "%v", err)
			break
		}
	}
	return out
}

func parseURLs(texts []string) (urls []*url.URL, problems []error) {
	for _, text := range texts {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil { // its text would show a password
			problems = append(problems, errors.New("mqtt: CHATRELAY_MQTT_URL holds something that is no URL: write tcp://host:1883"))
			continue
		}
		if defaultPort(u.Scheme) == "" || u.Hostname() == "" {
			problems = append(problems, fmt.Errorf("mqtt: CHATRELAY_MQTT_URL %s: write tcp, ssl, ws or wss, then ://host:port", u.Redacted()))
			continue
		}
		urls = append(urls, u)
	}
	if len(texts) == 0 {
		problems = append(problems, errors.New("mqtt: CHATRELAY_MQTT_URL is empty: write tcp://host:1883"))
	}
	return urls, problems
}

func defaultPort(scheme string) string {
	switch scheme {
	case "tcp", "mqtt":
		return "1883"
	case "ssl", "tls", "mqtts":
		return "8883"
	case "ws":
		return "80"
	case "wss":
		return "443"
	}
	return ""
}

func secure(u *url.URL) bool {
	switch u.Scheme {
	case "ssl", "tls", "mqtts", "wss":
		return true
	}
	return false
}

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
		return "", "", fmt.Errorf("cannot read the password (CHATRELAY_MQTT_PASSWORD_FILE): %w", err)
	}
	return c.Username, password, nil
}
