package xmppside

import (
	"errors"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// TestFixes: what stands in the way of a login is said, with what mends it, by Check and by the relay.
func TestFixes(t *testing.T) {
	t.Parallel()
	prosody := servers.NewProsody(t, servers.XMPPConfig{})
	plain := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, PlainOnly: true})
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{})
	reissued := func(until time.Time, domain string) *servers.XMPP {
		x := servers.NewProsody(t, servers.XMPPConfig{})
		if err := errors.Join(x.Reissue(until, domain), x.Stop(), x.Start()); err != nil {
			t.Fatal(err)
		}
		return x
	}
	expired, misnamed := reissued(time.Now().Add(-time.Hour), "chat.test"), reissued(time.Now().Add(time.Hour), "other.test")
	other, err := servers.MakeCerts(t.TempDir(), "x", "chat.test")
	if err != nil {
		t.Fatal(err)
	}
	bare := newImpostor(t, streamHead+"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
		"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
	at := func(addr, mode string) func(*Config) { return func(c *Config) { c.Addr, c.TLS = addr, mode } }
	for name, tc := range map[string]struct {
		server *servers.XMPP
		set    func(*Config)
		fix    string
	}{
		"wrong domain":                {prosody, func(c *Config) { c.JID = "receiver@elsewhere.test" }, "the server does not serve this domain"},
		"off, TLS demanded":           {prosody, at(prosody.Addr, "off"), "the server wants TLS"},
		"off at the direct port":      {prosody, at(prosody.DirectTLSAddr, "off"), "CHATRELAY_XMPP_TLS=direct"},
		"starttls at the direct port": {prosody, at(prosody.DirectTLSAddr, "starttls"), "CHATRELAY_XMPP_TLS=direct"},
		"direct at the other port":    {prosody, at(prosody.Addr, "direct"), "CHATRELAY_XMPP_TLS=starttls"},
		"starttls, none there":        {prosody, at(bare.Addr().String(), "starttls"), "give it a certificate"},
		"off, PLAIN only":             {plain, at(plain.Addr, "off"), "does not send the password as it is"},
		"expired":                     {expired, func(*Config) {}, "renew the server's certificate"},
		"another name":                {misnamed, func(*Config) {}, "for the domain of CHATRELAY_XMPP_JID"},
		"unknown authority":           {prosody, func(c *Config) { c.Roots = servers.Roots(t, other.CAFile) }, "CHATRELAY_XMPP_CA_FILE"},
		"wrong password":              {prosody, func(c *Config) { c.Password = Fixed("wrong") }, "CHATRELAY_XMPP_PASSWORD"},
		"no password":                 {prosody, func(c *Config) { c.Password = Fixed(" ") }, "CHATRELAY_XMPP_PASSWORD_FILE"},
		"nobody there":                {prosody, at(servers.FreeAddr(t), ""), "nobody listens there"},
		"an MQTT broker":              {prosody, at(broker.Addr, "starttls"), "this is an MQTT broker"},
		"an MQTT broker, direct":      {prosody, at(broker.Addr, "direct"), "this is an MQTT broker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(tc.server)
			tc.set(&cfg)
			if s := step(t, Check(t.Context(), cfg), "login"); s.OK || !s.Fatal || !strings.Contains(s.Text(), tc.fix) {
				t.Errorf("Check says %+v", s)
			}
			l := start(t, bridgetest.NewMemory(t), cfg)
			l.eventually(t, "the fix in the log", func() bool { return l.log.fix(tc.fix) })
			l.down(t, tc.fix)
			l.stop()
		})
	}
}

// fix tells whether a line has a fix.
func (l *testLog) fix(fix string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range strings.Lines(l.text.String()) {
		if _, after, ok := strings.Cut(text, `"fix":"`); ok && strings.Contains(after, fix) {
			return true
		}
	}
	return false
}
