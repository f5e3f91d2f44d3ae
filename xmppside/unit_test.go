package xmppside

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
)

const ownJID = "receiver@chat.test"

// unit is a Side that is not run.
func unit(tb testing.TB, change ...func(*Config)) *Side {
	tb.Helper()
	return unitOn(tb, bridgetest.NewMemory(tb).SideJournal(), change...)
}

func unitOn(tb testing.TB, journal bridge.SideJournal, change ...func(*Config)) *Side {
	tb.Helper()
	cfg := Config{
		JID: ownJID, Password: Fixed("secret"), Rooms: []string{"room@conference.chat.test", "blind@conference.chat.test"},
		Identity: map[string]string{"UP": "upper@chat.test", "77": "x@elsewhere.test", "9": "1009@chat.test"},
		Trusted:  []string{"backend@chat.test"}, MaxMessage: 1000,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg, journal)
	if err != nil {
		tb.Fatal(err)
	}
	s.ids.secret = []byte("0123456789abcdef")
	return s
}

func TestAddresses(t *testing.T) {
	a := unit(t).addr
	for landline, want := range map[string]string{
		"1001": "1001@chat.test", "a.b-c_d": "a.b-c_d@chat.test",
		"UP": "upper@chat.test", "77": "x@elsewhere.test",
		"Up":       "", // would come back as up
		"receiver": "", // the relay itself
		"1009":     "", // 9 lives there
		"a@b":      "", "a/b": "", "": "", "é": "",
	} {
		got, why := a.jidOf(landline)
		if got != want || (why == nil) != (want != "") {
			t.Errorf("%q: got %q (%v), want %q", landline, got, why, want)
		}
	}
	for address, want := range map[string]string{
		"1001@chat.test": "1001", "upper@chat.test": "UP", "x@elsewhere.test": "77", "1009@chat.test": "9",
		"77@chat.test":          "", // 77 lives elsewhere
		"9@chat.test":           "",
		"1001@elsewhere.test":   "",
		"1001@chat.test.evil":   "",
		ownJID:                  "",
		"chat.test":             "",
		"":                      "",
		"a b@chat.test":         "",
		"1001@x@chat.test":      "",
		"1001@sub.chat.test":    "",
		"upper@elsewhere.test":  "",
		"1001@chat.test/1002@y": "",
	} {
		if got := a.landlineOf(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
	t.Run("any landline", func(t *testing.T) { // a loose LANDLINE_PATTERN
		a := unit(t, func(c *Config) { c.Landline = func(string) bool { return true }; c.Identity = nil }).addr
		for _, l := range []string{"a@b", "a/b", "a b", "", "\x00", "Ä", "a'b"} {
			if got, why := a.jidOf(l); why == nil {
				t.Errorf("%q makes %q", l, got)
			}
		}
	})
}

func TestIDSigner(t *testing.T) {
	s, other := idSigner{newSecret()}, idSigner{newSecret()}
	ref := bridge.Ref{Msg: 1 << 60, Delivery: 65535}
	id := s.id(ref, "1001@chat.test")
	if got, ok := s.ref(id, "1001@chat.test"); !ok || got != ref {
		t.Errorf("%s: got %v, %v", id, got, ok)
	}
	if id != s.id(ref, "1001@chat.test") {
		t.Error("two ids of one delivery")
	}
	for name, try := range map[string]struct {
		s        idSigner
		id, from string
	}{
		"another sender": {s, id, "1002@chat.test"}, "another journal": {other, id, "1001@chat.test"},
		"another delivery": {s, strings.Replace(id, "-65535-", "-65534-", 1), "1001@chat.test"},
		"cut":              {s, id[:len(id)-1], "1001@chat.test"}, "a receipt": {s, "crr" + id[2:], "1001@chat.test"},
		"zeros": {s, strings.Replace(id, "cr-", "cr-0", 1), "1001@chat.test"}, "none": {s, "", "1001@chat.test"},
		"a delivery too far": {s, strings.Replace(id, "-65535-", "-65536-", 1), "1001@chat.test"},
	} {
		if got, ok := try.s.ref(try.id, try.from); ok {
			t.Errorf("%s: taken for %v", name, got)
		}
	}
}

func TestBinding(t *testing.T) {
	for _, h := range []binding{
		{stream: "id", n: 1, cursor: "c", at: time.UnixMilli(1700000000123)},
		{n: 1 << 40, at: time.UnixMilli(0)},
		{stream: strings.Repeat("x", 300), n: 7, at: time.UnixMilli(1)},
	} {
		got, err := parseBinding(h.bytes())
		if diff := cmp.Diff(h, got, cmp.AllowUnexported(binding{})); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		b := h.bytes()
		for i := range b {
			if _, err := parseBinding(b[:i]); err == nil {
				t.Errorf("cut at %d: no error", i)
			}
		}
		if _, err := parseBinding(append(b, 0)); err == nil {
			t.Error("longer: no error")
		}
	}
	for _, bad := range [][]byte{nil, {2}, binding{}.bytes()} {
		if _, err := parseBinding(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestReply(t *testing.T) {
	for _, r := range []reply{
		{"a@b", "a@b/c", "", english, ""}, {"a@b", "a@b", "id", english, ""}, {"a@b", "a@b", "id", chinese, ""}, {"a@b", "a@b", "", chinese, ""},
		{"a@b", "a@b", "id", english, "1@c"}, {"a@b", "a@b", "", chinese, "1@c"},
	} {
		if got, ok := parseReply(r.replyTo()); !ok || got != r {
			t.Errorf("got %+v", got)
		}
	}
	for _, bad := range []string{"", "a", "a\x00b", "\x00b\x00c", "a\x00\x00c"} {
		if _, ok := parseReply(bridge.ParseReplyTo(bad)); ok {
			t.Errorf("%q is none", bad)
		}
	}
}

func TestRender(t *testing.T) {
	s := unit(t)
	ref := bridge.Ref{Msg: 5, Delivery: 2}
	re := reply{"1001@chat.test", "1001@chat.test/a'b", "q&1", english, ""}.replyTo()
	for name, c := range map[string]struct {
		out  bridge.Outbound
		want string
	}{
		"chat": {bridge.Outbound{Kind: bridge.KindChat, To: "1001", Body: []byte("{\"a\":\"<&>\ufffe\"}\r")},
			`<message to='1001@chat.test' type='chat' id='CHAT'><body>{"a":"&lt;&amp;&gt;\ufffe"}&#13;</body>` +
				`<origin-id xmlns='urn:xmpp:sid:0' id='CHAT'/></message>`},
		"room": {bridge.Outbound{Kind: bridge.KindRoom, To: "room@conference.chat.test", Body: []byte("x")},
			`<message to='room@conference.chat.test' type='groupchat' id='ROOM'><body>x</body>` +
				`<origin-id xmlns='urn:xmpp:sid:0' id='ROOM'/></message>`},
		"receipt": {bridge.Outbound{Kind: bridge.KindReceipt, Note: bridge.Note{Reply: re}},
			`<message to='1001@chat.test/a&apos;b' type='chat' id='crrCHAT'>` +
				`<received xmlns='urn:xmpp:receipts' id='q&amp;1'/></message>`},
		"error": {bridge.Outbound{Kind: bridge.KindError, Note: bridge.Note{Reply: re, Reason: "from_mismatch", Text: "no <you>\x00"}},
			`<message to='1001@chat.test/a&apos;b' type='error' id='q&amp;1'><error type='auth'>` +
				`<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>` +
				`<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no &lt;you&gt;</text></error></message>`},
		"later error": {bridge.Outbound{Kind: bridge.KindError, Note: bridge.Note{Reply: re, Status: "failed", Reason: "gave_up", Text: "no"}},
			`<message to='1001@chat.test/a&apos;b' type='error' id='q&amp;1'><error type='wait'>` +
				`<remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>` +
				`<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no</text></error></message>`},
	} {
		t.Run(name, func(t *testing.T) {
			c.out.Ref = ref
			want := strings.ReplaceAll(c.want, "crrCHAT", "crr"+strings.TrimPrefix(s.ids.id(ref, "1001@chat.test"), "cr"))
			want = strings.ReplaceAll(want, "CHAT", s.ids.id(ref, "1001@chat.test"))
			want = strings.ReplaceAll(want, "ROOM", s.ids.id(ref, "room@conference.chat.test"))
			got, why := s.render(&c.out)
			if why != nil || string(got.raw) != want {
				t.Errorf("%v\ngot  %s\nwant %s", why, got.raw, want)
			}
			again, _ := s.render(&c.out)
			if !bytes.Equal(got.raw, again.raw) {
				t.Error("the same delivery made other bytes")
			}
			parse(t, string(got.raw))
		})
	}
	for name, c := range map[string]struct {
		out    bridge.Outbound
		reason string
	}{
		"control character": {bridge.Outbound{Kind: bridge.KindChat, To: "1001", Body: []byte("a\x01")}, "xml_illegal"},
		"no UTF-8":          {bridge.Outbound{Kind: bridge.KindRoom, To: "room@conference.chat.test", Body: []byte("\xff")}, "xml_illegal"},
		"surrogate":         {bridge.Outbound{Kind: bridge.KindChat, To: "1001", Body: []byte("\xed\xa0\x80")}, "xml_illegal"},
		"no landline":       {bridge.Outbound{Kind: bridge.KindChat, To: "a/b"}, "bad_address"},
		"folds":             {bridge.Outbound{Kind: bridge.KindChat, To: "Abc"}, "bad_address"},
		"ourselves":         {bridge.Outbound{Kind: bridge.KindChat, To: "receiver"}, "bad_address"},
		"not served":        {bridge.Outbound{Kind: bridge.KindRoom, To: "other@conference.chat.test"}, "unknown_room"},
		"no reply":          {bridge.Outbound{Kind: bridge.KindReceipt}, "bad_reply"},
		"illegal reply":     {bridge.Outbound{Kind: bridge.KindError, Note: bridge.Note{Reply: bridge.ParseReplyTo("a\x00a\x00\x01")}}, "bad_reply"},
		"MQTT":              {bridge.Outbound{Kind: bridge.KindInbox, To: "1001"}, "bad_kind"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, why := s.render(&c.out); why == nil || why.Reason != c.reason {
				t.Errorf("got %v, want %s", why, c.reason)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	for reason, want := range map[string]condition{
		"from_mismatch": {"auth", "forbidden"}, "unknown_sender": {"auth", "forbidden"},
		"full":         {"wait", "resource-constraint"},
		"unknown_room": {"cancel", "item-not-found"},
		"too_large":    {"modify", "policy-violation"},
		"two_bodies":   {"modify", "not-acceptable"},
		"bad_body":     {"modify", "not-acceptable"},
		"bad_time":     {"modify", "bad-request"}, "never heard of": {"modify", "bad-request"},
	} {
		if got := conditionOf(reason); got != want {
			t.Errorf("%s: got %v, want %v", reason, got, want)
		}
	}
}

func TestReasonOf(t *testing.T) {
	for inner, want := range map[string]string{
		"<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                                   "bounce_no_such_user",
		"<error><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>x</text><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>": "bounce_no_such_user",
		"<error><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                                          "bounce_unreachable",
		"<error><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                                            "bounce_unavailable",
		"<error><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                                                      "bounce_forbidden",
		"<error><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                                            "bounce_full",
		"<error><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                                                 "bounce_not_acceptable",
		"<error><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                                                    "bounce_other",
		"<error><forbidden xmlns='urn:evil'/><anything xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>":                          "bounce_other",
		"": "bounce_other",
	} {
		why := reasonOf(parse(t, "<message type='error'>"+inner+"</message>"))
		if why.Reason != want || strings.Contains(why.Text, "anything") {
			t.Errorf("%s: got %v, want %s", inner, why, want)
		}
	}
}

func TestSavedSession(t *testing.T) {
	state := map[string][]byte{
		keyStream: []byte(`{"id":"s1","jid":"a@b/c","in":3}`), countKey("s1"): {0, 0, 0, 0, 0, 0, 0, 9},
		countKey("s0"): {0, 0, 0, 0, 0, 0, 0, 99}, keySecret: []byte("x"),
	}
	x, stale := savedSession(state)
	if x.ID != "s1" || x.In != 9 || len(stale) != 1 || stale[0].Key != countKey("s0") || stale[0].Value != nil {
		t.Errorf("got %+v, stale %v", x, stale)
	}
	state[countKey("s1")] = []byte{0, 0, 0, 0, 0, 0, 0, 2}
	if x, _ := savedSession(state); x.In != 3 {
		t.Errorf("in is %d, want the higher one", x.In)
	}
	state[keyStream] = []byte("rubbish")
	if x, stale := savedSession(state); x.ID != "" || len(stale) != 2 {
		t.Errorf("got %+v, stale %v", x, stale)
	}
}

func TestTargets(t *testing.T) {
	if got := targets(t.Context(), net.DefaultResolver, &Config{Addr: "a:1"}, "chat.test"); !cmp.Equal(got, []string{"a:1"}) {
		t.Errorf("got %v", got)
	}
	for in, want := range map[string]string{"a": "a:5222", "a:1": "a:1", "[::1]:2": "[::1]:2", "[::1]": "[::1]:5222", "::1": "[::1]:5222"} {
		if got := withPort(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
