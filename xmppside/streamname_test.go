package xmppside

import (
	"testing"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// Whatever of the stream's own namespace a user puts into a stanza stops nothing, and does not even cost a connection. mellium
// ends the session over it (sm, quirk_mellium.go), and the server brings it again after each resumption.
func TestStreamElementInside(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		l := start(t, m, testConfig(x)).up(t)
		evil := newPerson(t, x, "1001")
		relay := x.JID("receiver")
		seen := 0
		for _, inside := range []string{
			"<foo xmlns='http://etherx.jabber.org/streams'/>",
			"<error xmlns='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>",
			"<stream xmlns='http://etherx.jabber.org/streams'>x</stream>",
			"<a xmlns='urn:a'><b xmlns='http://etherx.jabber.org/streams'><c/></b></a>",
			"<s:foo xmlns:s='http://etherx.jabber.org/streams'/>",
			"<a xmlns='urn:a' xmlns:s='http://etherx.jabber.org/streams'><s:error/></a>",
			"<stream:error/>",
			"<stream:stream></stream:stream>",
			"<a xmlns='urn:a'><stream:features><stream:error/></stream:features></a>",
		} {
			evil.raw(t, "<message type='chat' to='"+relay+"'>"+inside+"<body>bad</body></message>",
				"<message type='groupchat' to='"+relay+"/chatrelay'>"+inside+"</message>",
				"<presence to='"+relay+"'>"+inside+"</presence>",
				"<iq type='get' id='1' to='"+relay+"/chatrelay'>"+inside+"</iq>",
				"<message xmlns:s='http://etherx.jabber.org/streams' type='chat' to='"+relay+"'><s:foo/><body>bad</body></message>")
			if seen++; evil.says(relay, "good") != nil {
				t.Fatal("the server has thrown him out")
			}
			l.eventually(t, "heard behind "+inside, func() bool {
				n := 0
				for _, in := range m.Taken() {
					if string(in.Body) == "good" {
						n++
					}
				}
				return n == seen
			})
		}
		if n := l.log.count(`"message":"connected"`); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
}
