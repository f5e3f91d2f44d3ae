package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
)

// Secret is a value that no way of printing shows.
type Secret string

const redacted = "(secret)"

// Format stands in for every verb, %d and %x too.
func (s Secret) Format(f fmt.State, _ rune) {
	if s != "" {
		_, _ = io.WriteString(f, redacted) // fmt keeps the error
	}
}

// MarshalText is what encoders see.
func (s Secret) MarshalText() ([]byte, error) { return fmt.Append(nil, s), nil }

// source reads a secret from its file, anew each time so that a rotated file works, or else from its variable.
// It is nil when there is none.
func source(value Secret, file string) func() (string, error) {
	switch {
	case file != "":
		return func() (string, error) { return readSecret(file) }
	case value != "":
		return func() (string, error) { return string(value), nil }
	}
	return nil
}

const maxSecret = 64 << 10

func readSecret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) == 0:
		return "", errors.New(file + " is empty")
	case len(b) > maxSecret:
		return "", errors.New(file + " is too large for a secret")
	}
	return string(b), nil
}

// Secret reads the broker password; nil: there is none.
func (m *MQTT) Secret() func() (string, error) { return source(m.Password, m.PasswordFile) }

// Secret reads the account's password.
func (x *XMPP) Secret() func() (string, error) { return source(x.Password, x.PasswordFile) }

// Secret reads the bearer token; nil: there is none.
func (h *HTTP) Secret() func() (string, error) { return source(h.Token, h.TokenFile) }

// Secret reads the token of those who may change things; nil: there is none.
func (c *Console) Secret() func() (string, error) { return source(c.Token, c.TokenFile) }

// ReadSecret reads the token of those who may look; nil: there is none.
func (c *Console) ReadSecret() func() (string, error) { return source(c.ReadToken, c.ReadTokenFile) }

// BrokerURL is an address that may hold a password; printed, it does not.
type BrokerURL string

// Format shows the address without its password.
func (b BrokerURL) Format(f fmt.State, _ rune) {
	text := redacted // of an address that cannot be read nobody knows where the password is
	if u, err := url.Parse(string(b)); err == nil {
		text = u.Redacted()
	}
	_, _ = io.WriteString(f, text) // fmt keeps the error
}

// MarshalText is what encoders see.
func (b BrokerURL) MarshalText() ([]byte, error) { return fmt.Append(nil, b), nil }

// Addresses are the brokers, passwords and all, for the one who dials.
func (m *MQTT) Addresses() []string {
	out := make([]string, len(m.URLs))
	for i, u := range m.URLs {
		out[i] = string(u)
	}
	return out
}
