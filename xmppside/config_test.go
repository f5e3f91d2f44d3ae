package xmppside

import (
	"strings"
	"testing"
	"time"
)

func TestConfigProblems(t *testing.T) {
	good := Config{JID: ownJID, Password: Fixed("x")}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no JID":            {func(c *Config) { c.JID = "" }, "CHATRELAY_XMPP_JID"},
		"full JID":          {func(c *Config) { c.JID += "/x" }, "CHATRELAY_XMPP_JID"},
		"no name":           {func(c *Config) { c.JID = "chat.test" }, "CHATRELAY_XMPP_JID"},
		"upper case":        {func(c *Config) { c.JID = "Receiver@chat.test" }, "write receiver@chat.test"},
		"no password":       {func(c *Config) { c.Password = nil }, "CHATRELAY_XMPP_PASSWORD"},
		"no port":           {func(c *Config) { c.Addr = "localhost" }, "CHATRELAY_XMPP_ADDR"},
		"bad port":          {func(c *Config) { c.Addr = "localhost:0" }, "CHATRELAY_XMPP_ADDR"},
		"TLS mode":          {func(c *Config) { c.TLS = "ssl" }, "CHATRELAY_XMPP_TLS"},
		"no CA file":        {func(c *Config) { c.CAFile = "no/such" }, "CHATRELAY_XMPP_CA_FILE"},
		"no PEM":            {func(c *Config) { c.CAFile = "unit_test.go" }, "CHATRELAY_XMPP_CA_FILE"},
		"user domain":       {func(c *Config) { c.UserDomain = "a@b" }, "CHATRELAY_XMPP_USER_DOMAIN"},
		"resource":          {func(c *Config) { c.Resource = "a\x01" }, "CHATRELAY_XMPP_RESOURCE"},
		"nick":              {func(c *Config) { c.Nick = "\x01" }, "CHATRELAY_XMPP_NICK"},
		"room":              {func(c *Config) { c.Rooms = []string{"room"} }, "CHATRELAY_XMPP_ROOMS"},
		"room upper case":   {func(c *Config) { c.Rooms = []string{"Room@c.chat.test"} }, "CHATRELAY_XMPP_ROOMS"},
		"trusted":           {func(c *Config) { c.Trusted = []string{"a@b/c"} }, "CHATRELAY_TRUSTED_JIDS"},
		"identity":          {func(c *Config) { c.Identity = map[string]string{"1": "b"} }, "CHATRELAY_IDENTITY_FILE"},
		"identity landline": {func(c *Config) { c.Identity = map[string]string{"/": "a@b"} }, "CHATRELAY_IDENTITY_FILE"},
		"identity own":      {func(c *Config) { c.Identity = map[string]string{"1": ownJID} }, "own account"},
		"identity twice":    {func(c *Config) { c.Identity = map[string]string{"1": "a@b", "2": "a@b"} }, "same address"},
		"identity a room": {func(c *Config) { c.Rooms = []string{"r@b"}; c.Identity = map[string]string{"1": "r@b"} },
			"is a room"},
		"size":  {func(c *Config) { c.MaxMessage = -1 }, "CHATRELAY_MAX_MESSAGE"},
		"drain": {func(c *Config) { c.Drain = -1 }, "CHATRELAY_DRAIN_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			if _, err := New(cfg, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		_, err := New(Config{Addr: "x", TLS: "y"}, nil)
		for _, want := range []string{"XMPP_JID", "XMPP_PASSWORD", "XMPP_ADDR", "XMPP_TLS"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not name %s", err, want)
			}
		}
	})
	t.Run("defaults", func(t *testing.T) {
		cfg := good
		if _, err := cfg.prepare(); err != nil {
			t.Fatal(err)
		}
		if cfg.UserDomain != "chat.test" || cfg.Resource != "chatrelay" || cfg.Nick != "chatrelay" || cfg.TLS != "starttls" ||
			cfg.MaxMessage != 192<<10 || cfg.Drain != 10*time.Second {
			t.Errorf("got %+v", cfg)
		}
	})
}
