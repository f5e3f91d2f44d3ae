package mqttside

import (
	"strconv"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/mqttside/session"
	"chatrelay/test/servers"
)

// TestEjabberdBroker is ejabberd as the broker: by MQTT 5, and by 3.1.1 without the bridge bit.
func TestEjabberdBroker(t *testing.T) {
	t.Parallel()
	x := servers.NewEjabberd(t, servers.XMPPConfig{MQTT: true, Users: map[string]string{"person": "person", "receiver": "pw-receiver"}})
	url := "tcp://" + x.MQTTAddr
	for name, c := range map[string]struct {
		version byte
		level   session.Level
	}{"MQTT 5": {5, level5}, "MQTT 3.1.1": {3, levelPlain}} {
		t.Run(name, func(t *testing.T) {
			n := strconv.Itoa(int(c.version))
			inbox := "/chat/200" + n
			p := newPerson(t, url, "person"+n, inbox)
			cfg, log := named(t, url, "ejabberd"+n)
			cfg.Version, cfg.Username, cfg.Password = c.version, x.JID("receiver"), Fixed(x.Password("receiver"))
			m := bridgetest.NewMemory(t)
			l := start(t, m, cfg)
			l.up(t)
			if k := l.current(); k == nil || k.level != c.level {
				t.Errorf("up with %+v", k)
			}
			for i := range 10 {
				m.Add(bridge.KindInbox, "1001", "200"+n, body("x", i))
				p.says(t, "/chat/1001", body("y", i))
			}
			m.Until(t, "closed", bridgetest.AllClosed)
			m.Until(t, "taken", takenN(10))
			tally(t, "out", 1, 10, p.hears(t, 10))
			if log.has("no QoS 2") {
				t.Error("it has QoS 2")
			}
			shorter := false
			for _, s := range Check(t.Context(), cfg) {
				short := c.level == level5 && strings.HasPrefix(s.Name, "mqtt session") && strings.Contains(s.Note, "keeps it for 5m0s, not for the 336h")
				if !s.OK && !short {
					t.Errorf("%+v", s)
				}
				shorter = shorter || short
			}
			if shorter != (c.level == level5) {
				t.Error("check does not say that ejabberd keeps a session for five minutes")
			}
		})
	}
}
