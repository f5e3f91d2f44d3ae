package mqttside

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

const (
	aclAll     = "user chatrelay\ntopic readwrite /chat/#\ntopic readwrite chatrelay/#\n\nuser person\ntopic readwrite #"
	aclNoWrite = "user chatrelay\ntopic read /chat/#\ntopic readwrite chatrelay/#\n\nuser person\ntopic readwrite #"
	aclNoRead  = "user chatrelay\ntopic write /chat/#\ntopic readwrite chatrelay/#\n\nuser person\ntopic readwrite #"
)

// rights is a relay at a broker with an ACL.
type rights struct {
	broker *servers.Mosquitto
	m      *bridgetest.Memory
	cfg    Config
	log    *testLog
	p      *person
}

func newRights(t *testing.T, bc servers.MosquittoConfig) *rights {
	t.Helper()
	bc.Users = map[string]string{"chatrelay": "relay", "person": "person"}
	r := &rights{broker: servers.NewMosquitto(t, bc), m: bridgetest.NewMemory(t), log: &testLog{tb: t}}
	r.cfg = testConfig(t, r.broker.URL)
	r.cfg.Username, r.cfg.Password, r.cfg.Log = "chatrelay", Fixed("relay"), r.cfg.Log.Output(r.log)
	r.p = newPerson(t, r.broker.URL, "person", "/chat/2001")
	return r
}

// within wants something of a Side soon.
func (l *run) within(tb testing.TB, limit time.Duration, what string, cond func() bool) {
	tb.Helper()
	began := time.Now()
	l.eventually(tb, what, cond)
	if took := time.Since(began); took > limit {
		tb.Errorf("%s after %v, want %v", what, took, limit)
	}
}

// TestNoRight starts where the broker drops what we publish, or brings nothing: no message leaves, the ACL line is said
// within 10 s, and within 15 s after the ACL is right all arrive, once, in order. Nothing was told settled before.
func TestNoRight(t *testing.T) {
	for name, acl := range map[string]string{"publish": aclNoWrite, "subscribe": aclNoRead} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRights(t, servers.MosquittoConfig{ACL: acl})
			const n = 50
			for i := range n {
				r.m.Add(bridge.KindInbox, "1001", "2001", body("x", i))
			}
			l := start(t, r.m, r.cfg)
			l.within(t, 10*time.Second, "said", func() bool {
				ok, why := l.Up()
				return !ok && strings.Contains(why, `"topic readwrite /chat/#"`) && r.log.has(`"level":"error"`)
			})
			if s := r.m.Sum(); s.Settles > 0 || s.Deliveries[bridgetest.Waiting]+s.Deliveries[bridgetest.HandedOut] != n {
				t.Errorf("something has left: %+v", s)
			}
			if got := r.p.all(); len(got) > 0 {
				t.Errorf("the person has %d messages", len(got))
			}
			if err := r.broker.SetACL(aclAll); err != nil {
				t.Fatal(err)
			}
			l.within(t, 15*time.Second, "up again", func() bool { ok, _ := l.Up(); return ok })
			r.m.Until(t, "all sent", bridgetest.AllClosed)
			tally(t, "out", 1, n, r.p.hears(t, n))
			r.p.says(t, "/chat/1001", body("y", 0))
			r.m.Until(t, "heard", takenN(1))
			if got := r.m.Taken(); len(got) != 1 {
				t.Errorf("%d were offered, want the person's alone: probes do not count", len(got))
			}
		})
	}
}

// TestRightTakenAway: it is said within 35 s, and all that was settled since the last heard probe is bounced; what
// arrived besides is not lost.
func TestRightTakenAway(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a periodic probe")
	}
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll, Extra: "set_tcp_nodelay true"})
	l := start(t, r.m, r.cfg)
	l.up(t)
	var refs []bridge.Ref
	add := func() { refs = append(refs, r.m.Add(bridge.KindInbox, "1001", "2001", body("x", len(refs)))) }
	for range 50 {
		add()
	}
	r.m.Until(t, "sent", bridgetest.AllClosed)
	began := time.Now()
	if err := r.broker.SetACL(aclNoWrite); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for up := true; up; up, _ = l.Up() {
		<-tick.C
		add()
		if time.Since(began) > 40*time.Second {
			t.Fatal("never said")
		}
	}
	if took := time.Since(began); took > 35*time.Second {
		t.Errorf("said after %v", took)
	}
	closed := 0
	for _, ref := range refs {
		if state, err := r.m.Delivery(ref); state == bridgetest.Settled && err == nil {
			closed++
		}
	}
	r.m.Until(t, "bounced", func(s bridgetest.Sum) bool { return s.Counts[bridge.Unconfirmed] > 0 && s.Unproven == 0 })
	before := r.p.all()
	bounced := r.m.Sum().Counts[bridge.Unconfirmed]
	t.Logf("settled %d, arrived %d, bounced %d, said after %v", closed, len(before), bounced, time.Since(began))
	if lost := closed - len(before); bounced < lost || lost == 0 {
		t.Errorf("settled %d, arrived %d, bounced %d only", closed, len(before), bounced)
	}
	if err := r.broker.SetACL(aclAll); err != nil {
		t.Fatal(err)
	}
	l.within(t, 15*time.Second, "up again", func() bool { ok, _ := l.Up(); return ok })
	add()
	r.m.Until(t, "all sent", bridgetest.AllClosed)
	after := r.p.hears(t, len(before)+len(refs)-closed)
	if last := after[len(after)-1]; !strings.Contains(last, body("x", len(refs)-1)) {
		t.Errorf("the last is %s", last)
	}
}

// TestDeafened: by MQTT 5 the right to subscribe is taken away, without a word of the broker's, while nothing flows. It is
// said within 35 s, and all goes on by itself.
func TestDeafened(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a periodic probe")
	}
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll})
	r.cfg.Version = 5
	l := start(t, r.m, r.cfg)
	l.up(t)
	if err := r.broker.SetACL(aclNoRead); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) { // a poll's pause
		ok, why := l.Up()
		if !ok && strings.Contains(why, `"topic readwrite /chat/#"`) && r.log.has(`"level":"error"`) {
			break
		}
		if time.Since(began) > 35*time.Second {
			t.Fatal("not said within 35 s")
		}
	}
	if err := r.broker.SetACL(aclAll); err != nil {
		t.Fatal(err)
	}
	l.within(t, 15*time.Second, "up again", func() bool { ok, _ := l.Up(); return ok })
	r.p.says(t, "/chat/1001", body("y", 0))
	r.m.Until(t, "heard", takenN(1))
}

// TestLengthLimit: a broker that drops long messages in silence. The short ones go, the long ones are refused; once it
// takes them they go.
func TestLengthLimit(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll, MessageSizeLimit: 2000})
	var short, long []bridge.Ref
	for i := range 40 {
		short = append(short, r.m.Add(bridge.KindInbox, "1001", "2001", body("x", i)))
		if i%4 == 0 {
			long = append(long, r.m.Add(bridge.KindInbox, "1002", "2001", strings.Repeat("l", 2001+i)))
		}
	}
	l := start(t, r.m, r.cfg)
	l.within(t, 10*time.Second, "said", func() bool { return r.log.has("message_size_limit") })
	r.m.Until(t, "all closed", bridgetest.AllClosed)
	for _, ref := range short {
		if _, err := r.m.Delivery(ref); err != nil {
			t.Errorf("%v: %v", ref, err)
		}
	}
	for _, ref := range long {
		if _, err := r.m.Delivery(ref); err == nil || !strings.Contains(err.Error(), "too_large") {
			t.Errorf("%v: %v, want too_large", ref, err)
		}
	}
	if got := r.p.hears(t, len(short)); len(got) != len(short) {
		t.Errorf("%d arrived", len(got))
	}
	exact := r.m.Add(bridge.KindInbox, "1002", "2001", strings.Repeat("e", 1990)) // nearer to the limit than the search went
	r.m.Until(t, "closed", bridgetest.AllClosed)
	if _, err := r.m.Delivery(exact); err != nil {
		t.Errorf("one that fits: %v", err)
	}
	if err := r.broker.SetMessageSizeLimit(50_000); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for {
		ref := r.m.Add(bridge.KindInbox, "1002", "2001", strings.Repeat("m", 20_000))
		r.m.Until(t, "closed", bridgetest.AllClosed)
		if _, err := r.m.Delivery(ref); err == nil {
			break
		}
		if time.Since(began) > 15*time.Second {
			t.Fatal("long messages are still refused 15 s after the broker takes them")
		}
		time.Sleep(time.Second) // between two attempts of a sender
	}
	r.p.hears(t, len(short)+2)
}

// TestPacketLimit: a broker that closes the connection over a long message keeps nobody waiting, and the relay's own
// connection is not the one it closes.
func TestPacketLimit(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll, Extra: "max_packet_size 3000"})
	l := start(t, r.m, r.cfg)
	l.up(t)
	long := r.m.Add(bridge.KindInbox, "1001", "2001", strings.Repeat("l", 4000))
	short := r.m.Add(bridge.KindInbox, "1001", "2001", strings.Repeat("s", 2500))
	r.m.Until(t, "closed", bridgetest.AllClosed)
	if _, err := r.m.Delivery(long); err == nil || !strings.Contains(err.Error(), "too_large") {
		t.Errorf("the long one: %v", err)
	}
	if _, err := r.m.Delivery(short); err != nil {
		t.Errorf("the short one: %v", err)
	}
	if n := strings.Count(r.log.text.String(), `"connected"`); n != 1 {
		t.Errorf("%d connections of the relay, want one", n)
	}
}

// TestProbeNames: whatever has the shape of a probe's topic is acknowledged and otherwise nothing, at any QoS, retained
// or not, in its turn; and nobody is written to under such a name.
func TestProbeNames(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll})
	l := start(t, r.m, r.cfg)
	l.up(t)
	finish(t, r.p.Publish("/chat/"+newProbeName(), 1, true, body("y", 0)))
	for i := range 40 {
		finish(t, r.p.Publish("/chat/"+newProbeName(), byte(i%3), false, body("y", i)))
		r.p.says(t, "/chat/1001", body("y", i))
	}
	r.m.Until(t, "taken", takenN(40))
	tally(t, "in", 1, 40, bodies(r.m))
	if _, refusal := l.topic(newProbeName()); refusal == nil {
		t.Error("a probe's name is a landline")
	}
	for name, is := range map[string]bool{
		newProbeName(): true, "~probe-0123456789abcdef": true, "~probe-0123456789abcde": false, "~probe-0123456789abcdeg": false,
		"~probe-0123456789ABCDEF": false, "~probe-0123456789abcdef0": false, "probe-0123456789abcdef": false, "1001": false,
	} {
		if isProbeName(name) != is {
			t.Errorf("%q: %v", name, !is)
		}
	}
}

// TestProbesOfCheckDoNotCount: what Check publishes counts nowhere, neither in the relay it belongs to nor in another.
func TestProbesOfCheckDoNotCount(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll})
	l := start(t, r.m, r.cfg)
	l.up(t)
	for _, s := range Check(t.Context(), r.cfg) {
		if !s.OK {
			t.Errorf("%+v", s)
		}
	}
	r.p.says(t, "/chat/1001", body("y", 0))
	r.m.Until(t, "heard", takenN(1))
	if got := r.m.Taken(); len(got) != 1 {
		t.Errorf("%d were offered, want the person's alone", len(got))
	}
}

// TestCheckRights: Check says what the relay says.
func TestCheckRights(t *testing.T) {
	for name, tc := range map[string]struct {
		acl   string
		limit int
		want  string
		fatal bool
	}{
		"no publish right":   {aclNoWrite, 0, `"topic readwrite /chat/#"`, true},
		"no subscribe right": {aclNoRead, 0, `"topic readwrite /chat/#"`, true},
		"a limit":            {aclAll, 2000, "takes no message longer than 1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRights(t, servers.MosquittoConfig{ACL: tc.acl, MessageSizeLimit: tc.limit})
			logged := false
			for _, s := range Check(t.Context(), r.cfg) {
				if s.Fatal && !s.OK && !tc.fatal {
					t.Errorf("%+v", s)
				}
				logged = logged || !s.OK && strings.Contains(s.Text(), tc.want)
			}
			if !logged {
				t.Errorf("not said: %s", fmt.Sprint(Check(t.Context(), r.cfg)))
			}
		})
	}
}

// TestResumedInDoubt: what was in flight when the right was taken away is acknowledged on the next connection, where no
// probe is heard. It is not settled for that: it goes again, and is counted.
func TestResumedInDoubt(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll})
	trap := &trap{}
	link := proxy.NewMQTT(t, r.broker.Addr, trap.filter)
	r.cfg.URLs = []string{"tcp://" + link.Addr()}
	l := start(t, r.m, r.cfg)
	l.up(t)
	trap.set(once(proxy.Up, proxy.PUBREL, proxy.CutBefore, func() {
		if err := r.broker.SetACL(aclNoWrite); err != nil {
			t.Error(err)
		}
	}))
	ref := r.m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
	l.down(t, `"topic readwrite /chat/#"`)
	r.m.Until(t, "it goes again", func(s bridgetest.Sum) bool { return s.Counts[bridge.MaybeDuplicate] == 1 })
	if state, err := r.m.Delivery(ref); state == bridgetest.Settled {
		t.Errorf("it is closed (%v), though nothing shows that it arrived", err)
	}
	if err := r.broker.SetACL(aclAll); err != nil {
		t.Fatal(err)
	}
	r.m.Until(t, "closed", bridgetest.AllClosed)
	r.p.hears(t, 1)
}

// TestAlone: where a broker lets no second login in, the relay's connection hears itself.
func TestAlone(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
		if c, ok := p.(*packets.ConnectPacket); ok && c.ClientIdentifier != "chatrelay" {
			return []packets.ControlPacket{connack(packets.ErrRefusedIDRejected)}, true
		}
		return polite(p), false
	})
	hearsItself(t, f)
}

// hearsItself runs a side whose own connection is the only one to hear the probe: at the plain level, without the
// bridge bit.
func hearsItself(t *testing.T, f *fakeBroker) {
	t.Helper()
	m := bridgetest.NewMemory(t)
	l := start(t, m, testConfig(t, f.url()))
	l.within(t, 15*time.Second, "up", func() bool { ok, _ := l.Up(); return ok })
	if k := l.current(); k.level != levelPlain {
		t.Errorf("level %#x", k.level)
	}
	m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
	m.Until(t, "sent", bridgetest.AllClosed)
}

// TestSelfHearing: where nothing logs in beside the relay any more, a session that was made with the bridge bit hears
// what its own connection says: Mosquitto keeps the bit with the subscription.
func TestSelfHearing(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll})
	l := start(t, r.m, r.cfg)
	l.up(t)
	l.brokers.setLonely(strings.TrimPrefix(r.broker.URL, "tcp://"), time.Now())
	for _, unsure := range []bool{true, false} { // whether it is known what the session subscribes to
		before := l.current()
		l.mu.Lock()
		l.uncertain = unsure
		l.mu.Unlock()
		before.conn.Close(errors.New("cut by the test"))
		l.within(t, 10*time.Second, "up", func() bool { k := l.current(); return k != nil && k != before })
		if k := l.current(); k.level != levelPlain {
			t.Errorf("level %#x", k.level)
		}
	}
}
