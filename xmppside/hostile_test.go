package xmppside

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// hostileXML is that a server takes from a user, and hands on.
var hostileXML = []string{
	"<a xmlns=''><b/></a>", "<a xmlns='jabber:server'/>", "<message xmlns='jabber:client'><body>x</body></message>",
	"<a xmlns='urn:&#10;&lt;&amp;&quot;&apos;&gt;]]&gt;'>]]&gt;&#13;&#10;&#9;&#127;\u0085\u2028\ufffd\ue000\U0001fffe\U0010ffff</a>",
	"<a xmlns='x' xmlns:p='y' p:id='1' p:type='error' p:from='@' id='2'/>", "<p:a xmlns:p='y' xmlns:q='y' p:b='1' c='2'><q:a q:d=''/></p:a>",
	"<a xmlns='x' xml:lang='&#10;' xml:base='x' xml:space='preserve' xml:id='1'/>", "<a xmlns='x' xml:lang='" + strings.Repeat("x", 5000) + "'/>",
	"<a xmlns='x' xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:a=''/>", "<xml:a/>", "<é xmlns='x' ñ='1' 名='2'><_.-·/></é>",
	"<a xmlns='x' xmlns:stream='urn:y'><stream:stream/></a>", "<a xmlns='x' xmlns:xmlnsx='urn:y'><xmlnsx:a/></a>", "<stream:error/>",
	"<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='4000000000'/>", "<enabled xmlns='urn:xmpp:sm:3' id='1'/>",
	"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='@'><body>x</body></message></forwarded>",
	"<result xmlns='urn:xmpp:mam:2' id='1' queryid='1'/>", "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><item jid='@' nick=''/></x>",
	"<error type='&#10;'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>&#1114109;</gone></error>", "<body xml:lang='&#9;'>{</body><body xml:lang=''>}</body>",
	"<a xmlns='x'><![CDATA[<!-- ]]]]><![CDATA[> <?a ?> &what;]]></a>", "<delay xmlns='urn:xmpp:delay' stamp='99999-99-99T99:99:99Z' from='@'/>",
	"<a xmlns='x'>" + strings.Repeat("<b/>", 5000) + "</a>", strings.Repeat("<a xmlns='x'>", 200) + strings.Repeat("</a>", 200),
	"<a xmlns='x'>" + strings.Repeat("&amp;]]&gt;", 3000) + "</a>", "<a xmlns='x'" + manyAttributes(1000) + "/>",
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d='%d'", i, i)
	}
	return b.String()
}

// grown nests what is hostile in itself and in other things, the same in each run.
func grown(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		return hostileXML[r.IntN(len(hostileXML)-4)] // not the large ones
	}
	var b strings.Builder
	space, prefix := []string{"x", "", "jabber:client", "urn:xmpp:sm:3"}[r.IntN(4)], []string{"", "p:", "stream:"}[r.IntN(3)]
	if declared := map[string]string{"": "", "p:": " xmlns:p='y'", "stream:": " xmlns:stream='z'"}[prefix]; space != "" || prefix != "" {
		fmt.Fprintf(&b, "<%se xmlns='%s'%s %sid='1'>", prefix, space, declared, prefix)
	} else {
		prefix = ""
		b.WriteString("<e xmlns='x'>")
	}
	for range 1 + r.IntN(3) {
		b.WriteString(grown(r, depth-1))
	}
	return b.String() + "</" + prefix + "e>"
}

// TestHostileXML: nothing that a user can put into a stanza ends a connection, or keeps from the relay what comes behind it. What no server
// hands on costs its sender his own connection.
func TestHostileXML(t *testing.T) {
	all := append([]string{}, hostileXML...)
	for r := rand.New(rand.NewPCG(1, 2)); len(all) < len(hostileXML)+20; {
		all = append(all, grown(r, 3))
	}
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		l := start(t, m, testConfig(x)).up(t)
		relay, began := x.JID("receiver"), time.Now()
		evil := newPerson(t, x, "1001")
		refused := 0
		for i, inside := range all {
			before := evil.Logins()
			for _, s := range []string{
				"<message type='chat' to='" + relay + "'>" + inside + "<body>bad</body></message>",
				"<message type='groupchat' to='" + relay + "/chatrelay'>" + inside + "</message>",
				"<message xmlns:q='x' q:type='error' q:from='@' q:id='1' type='error' id='2' to='" + relay + "'>" + inside + "</message>",
				"<presence to='" + relay + "/chatrelay'>" + inside + "</presence>",
				"<iq type='set' id='1' to='" + relay + "/chatrelay'>" + inside + "</iq>",
				"<iq xmlns:q='x' q:type='get' q:from='@' q:id='1' type='result' id='2' to='" + relay + "/chatrelay'>" + inside + "</iq>",
				"<iq xmlns:q='x' q:type='result' q:from='@' q:id='1' type='get' id='2' to='" + relay + "/chatrelay'>" + inside + "</iq>",
			} {
				_ = evil.Raw(s) // fails once he is thrown out
			}
			good := fmt.Sprint("good ", i)
			for said := 0; ; { // again if he is thrown out
				if n := evil.Logins(); n != said && evil.Ready(t.Context()) == nil && evil.Send(relay, "chat", "", good) == nil {
					said = n
				}
				if slices.ContainsFunc(m.Taken(), func(in bridge.Inbound) bool { return string(in.Body) == good }) {
					break
				}
				if time.Since(began) > 2*waitLimit {
					t.Fatalf("nothing is heard behind %.300s", inside)
				}
				time.Sleep(time.Millisecond)
			}
			if evil.Logins() != before {
				refused++
			}
			if n := l.log.count(`"message":"connected"`); n != 1 {
				t.Fatalf("%d logins behind %.300s", n, inside)
			}
		}
		if refused > len(all)/2 {
			t.Errorf("%d of %d were not handed on: it shows nothing", refused, len(all))
		}
		t.Logf("%d of %d are refused by %s itself", refused, len(all), x.Name)
	})
}
