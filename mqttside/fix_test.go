package mqttside

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/rs/zerolog"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// TestFixes: what stands in the way of a login is said once, with what mends it, by Check and by the relay.
func TestFixes(t *testing.T) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{TLS: true, Websockets: true, Users: map[string]string{"relay": "right"}})
	mutual := servers.NewMosquitto(t, servers.MosquittoConfig{RequireClientCert: true})
	prosody := servers.NewProsody(t, servers.XMPPConfig{})
	expired := servers.NewMosquitto(t, servers.MosquittoConfig{TLS: true})
	if err := errors.Join(expired.Reissue(time.Now().Add(-time.Hour), "localhost"), expired.Stop(), expired.Start()); err != nil {
		t.Fatal(err)
	}
	other, err := servers.MakeCerts(t.TempDir(), "x")
	if err != nil {
		t.Fatal(err)
	}
	refusing := func(code byte) func(*Config) {
		f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
			if _, ok := p.(*packets.ConnectPacket); ok {
				return []packets.ControlPacket{connack(code)}, true
			}
			return nil, true
		})
		return at(f.url())
	}
	trusting := func(b *servers.Mosquitto, url string) func(*Config) {
		return func(c *Config) { c.URLs, c.Roots = []string{url}, servers.Roots(t, b.CAFile) }
	}
	for name, tc := range map[string]struct {
		set func(*Config)
		fix string
	}{
		"tcp at the TLS port":    {at("tcp://" + broker.TLSAddr), "write ssl://"},
		"ws at the TLS port":     {at("ws://" + broker.TLSAddr), "wss:// for WebSocket"},
		"ssl at the plain port":  {at("ssl://" + broker.Addr), "write tcp://"},
		"wss at the plain port":  {at("wss://" + broker.Addr), "write tcp://"},
		"ws at the plain port":   {at("ws://" + broker.Addr), "write tcp://"},
		"tcp at an XMPP server":  {at("tcp://" + prosody.Addr), "this is an XMPP server"},
		"ssl at an XMPP server":  {at("ssl://" + prosody.Addr), "this is an XMPP server"},
		"another path":           {at("ws://" + prosody.HTTPAddr + "/mqtt"), "check the path in CHATRELAY_MQTT_URL"},
		"expired":                {trusting(expired, expired.TLSURL), "renew the broker's certificate"},
		"unknown authority":      {at(broker.TLSURL, func(c *Config) { c.Roots = servers.Roots(t, other.CAFile) }), "CHATRELAY_MQTT_CA_FILE"},
		"another name":           {trusting(broker, "ssl://"+otherName(t, broker.Certs)), "as its certificate does"},
		"no client certificate":  {trusting(mutual, mutual.TLSURL), "CHATRELAY_MQTT_CERT_FILE"},
		"wrong password":         {at(broker.URL, func(c *Config) { c.Username, c.Password = "relay", Fixed("wrong") }), "CHATRELAY_MQTT_PASSWORD"},
		"no user":                {at(broker.URL), "CHATRELAY_MQTT_USERNAME"},
		"password file":          {at(broker.URL, func(c *Config) { c.Username, c.Password = "relay", unreadable }), "CHATRELAY_MQTT_PASSWORD_FILE"},
		"nobody there":           {at("tcp://" + servers.FreeAddr(t)), "nobody listens there"},
		"code 2, client id":      {refusing(2), "CHATRELAY_MQTT_CLIENT_ID"},
		"code 3, not available":  {refusing(3), "the broker's log"},
		"code 4, user, password": {refusing(4), "CHATRELAY_MQTT_USERNAME"},
		"code 5, not authorized": {refusing(5), "CHATRELAY_MQTT_USERNAME"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &testLog{tb: t}
			cfg := testConfig(t, "")
			cfg.Log = zerolog.New(log)
			tc.set(&cfg)
			steps := Check(t.Context(), cfg)
			if last := steps[len(steps)-1]; last.OK || !last.Fatal || !strings.Contains(last.Text(), tc.fix) {
				t.Errorf("Check says %+v", last)
			}
			l := start(t, bridgetest.NewMemory(t), cfg)
			l.eventually(t, "the fix in the log", func() bool { return log.fix("not connected", tc.fix) })
			l.down(t, tc.fix)
			l.stop()
		})
	}
}

func unreadable() (string, error) { return "", errors.New("no such file") }

func at(url string, more ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.URLs = []string{url}
		for _, set := range more {
			set(c)
		}
	}
}

// fix tells whether a line has a fix.
func (l *testLog) fix(line, fix string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range strings.Lines(l.text.String()) {
		if _, after, ok := strings.Cut(text, `"fix":"`); ok && strings.Contains(text, line) && strings.Contains(after, fix) {
			return true
		}
	}
	return false
}

// TestExpiredCertificate is in the log once, though what Go says of it names the time; and the broker is not asked each
// moment.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{TLS: true})
	if err := errors.Join(broker.Reissue(time.Now().Add(-time.Hour), "localhost"), broker.Stop(), broker.Start()); err != nil {
		t.Fatal(err)
	}
	log := &testLog{tb: t}
	cfg := testConfig(t, broker.TLSURL)
	cfg.Roots, cfg.Log = servers.Roots(t, broker.CAFile), zerolog.New(log)
	l := start(t, bridgetest.NewMemory(t), cfg)
	l.down(t, "expired")
	time.Sleep(3 * time.Second) // the text names each second
	l.stop()
	if n := strings.Count(log.text.String(), "not connected"); n != 1 {
		t.Errorf("said %d times", n)
	}
	if n := strings.Count(broker.Log(), "New connection from"); n > 4 {
		t.Errorf("asked %d times in 3 s", n)
	}
}
