package xmppside

import (
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	good := Config{JID: ownJID, Password: Fixed("x")}
	for _, j := range []string{"", ownJID + "/x", "chat.test"} {
		if _, err := New(Config{JID: j, Password: Fixed("x")}, nil); err == nil || !strings.Contains(err.Error(), "CHATRELAY_XMPP_JID") {
			t.Errorf("JID %q: %v", j, err)
		}
	}
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
