package mqttside

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/packets"

	"chatrelay/mqttside/session"
	"chatrelay/test/servers"
)

// stranger logs in by MQTT 5 with a client id, leaves a session without subscriptions, and goes.
func stranger(t *testing.T, addr, id string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := packets.NewControlPacket(packets.CONNECT)
	login, expiry := p.Content.(*packets.Connect), uint32(3600)
	login.ClientID, login.CleanStart, login.KeepAlive = id, true, 30
	login.Properties.SessionExpiryInterval = &expiry
	if _, err := p.WriteTo(c); err != nil {
		t.Fatal(err)
	}
	if _, err := packets.ReadPacket(c); err != nil {
		t.Fatal(err)
	}
}

// TestStrangersSession: somebody else had our client id, and left a session of it: it is there, and subscribes to nothing.
func TestStrangersSession(t *testing.T) { atLevels(t, strangersSession) }

func strangersSession(t *testing.T, version byte) {
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Version = version
	l := start(t, r.m, r.cfg)
	l.up(t)
	l.stop()
	stranger(t, r.broker.Addr, r.cfg.ClientID)
	l = start(t, r.m, r.cfg)
	l.up(t)
	r.p.says(t, "/chat/1001", body("y", 0))
	r.m.Until(t, "taken: else the side is deaf", takenN(1))
}

// TestFormer is what is taken back before the inboxes are subscribed to. Each time something is, what comes in between is lost.
func TestFormer(t *testing.T) {
	at := func(l session.Level) subscribed { return subscribed{inboxes: "/chat/+", level: string(rune(l))} }
	unknown, other := subscribed{}, subscribed{inboxes: "/other/+", level: string(rune(level5))}
	for _, tc := range []struct {
		name       string
		want, have subscribed
		present    bool
		taken      string
	}{
		{"the same", at(level5), at(level5), true, ""},
		{"the first start by MQTT 5", at(level5), at(levelBridge), true, ""},
		{"back to the bridge bit", at(levelBridge), at(level5), true, ""},
		{"from the plain level", at(level5), at(levelPlain), true, "/chat/+"},
		{"from the plain level to the bridge bit", at(levelBridge), at(levelPlain), true, "/chat/+"},
		{"to the plain level", at(levelPlain), at(level5), true, "/chat/+"},
		{"nothing is known of a session", at(level5), unknown, true, "/chat/+"},
		{"nothing is known of a session, plain", at(levelPlain), unknown, true, "/chat/+"},
		{"it is new", at(level5), unknown, false, ""},
		{"another prefix", at(level5), other, true, "/other/+"},
	} {
		if got := tc.want.former(tc.have, tc.present); got != tc.taken {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.taken)
		}
	}
}

// TestRefusedFilter: what is said to be mended is what the broker has against the filter.
func TestRefusedFilter(t *testing.T) {
	for code, want := range map[byte]string{
		session.CodeUnspecified:   "the ACL",
		session.CodeNotAuthorized: "the ACL",
		session.CodeNoWildcards:   "allow wildcard subscriptions",
		session.CodeQuota:         "quota exceeded (0x97)",
		session.CodeNoQoS:         "QoS not supported (0x9b)",
	} {
		err := fmt.Errorf("/chat/+: %w", refusedFilter{code})
		if got := deniedBy(err); got == nil || !strings.Contains(got.denied.fix("the ACL"), want) {
			t.Errorf("%#x: %+v, want %q", code, got, want)
		}
	}
	if got := deniedBy(errRenewed); got != nil {
		t.Errorf("%+v, and nothing was refused", got)
	}
}
