package mqttside

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/mqttside/session"
	"chatrelay/test/servers"
)

// TestRabbitMQ is a broker without QoS 2, without MQTT 5, and that hangs up on the bridge bit. One start of it serves all.
func TestRabbitMQ(t *testing.T) {
	t.Parallel()
	rabbit := servers.NewRabbitMQ(t)
	t.Run("QoS 1", func(t *testing.T) { rabbitQoS(t, rabbit) })
	t.Run("levels", func(t *testing.T) { otherLevels(t, rabbit.URL) })
	t.Run("check", func(t *testing.T) { checkOther(t, rabbit.URL) })
	t.Run("bound at QoS 2", func(t *testing.T) { rabbitMoved(t, rabbit) })
	t.Run("as it comes", func(t *testing.T) { fromFive(t, rabbit.URL, "/chat/3001") })
}

// rabbitQoS: each message arrives once and is settled, by a PUBACK, although it went out at QoS 2.
func rabbitQoS(t *testing.T, rabbit *servers.RabbitMQ) {
	p := newPerson(t, rabbit.URL, "person", "/chat/2001")
	cfg, log := named(t, rabbit.URL, "qos")
	m := bridgetest.NewMemory(t)
	l := start(t, m, cfg)
	refs := []bridge.Ref{}
	for i := range 20 {
		refs = append(refs, m.Add(bridge.KindInbox, "1001", "2001", body("x", i)))
	}
	m.Until(t, "closed", bridgetest.AllClosed)
	for _, ref := range refs {
		if _, err := m.Delivery(ref); err != nil {
			t.Errorf("%v is dead: %v", ref, err)
		}
	}
	tally(t, "out", 1, 20, p.hears(t, 20))
	p.says(t, "/chat/1001", body("y", 0))
	m.Until(t, "taken", takenN(1))
	if n := log.times("the broker has no QoS 2"); n != 1 {
		t.Errorf("said %d times", n)
	}
	l.up(t)
	if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
		t.Errorf("maybe_duplicate is %d", n)
	}
	l.stop() // and the next process knows it
	cfg, log = named(t, rabbit.URL, "qos")
	l = start(t, m, cfg)
	l.up(t)
	for i := range 5 {
		m.Add(bridge.KindInbox, "1001", "2001", body("z", i))
	}
	m.Until(t, "closed", bridgetest.AllClosed)
	if log.has("no CONNACK in") || log.has("the broker has no QoS 2") {
		t.Error("level or QoS was found out anew")
	}
	tally(t, "out", 1, 5, p.hears(t, 25)[20:])
	l.stop()
	// Subscribed by a relay that did not note what was granted: the first PUBACK tells.
	d := m.SideJournal()
	host := strings.TrimPrefix(rabbit.URL, "tcp://")
	if err := d.Wait(t.Context(), d.SetState(bridge.MQTT, bridge.StateRow{
		Key: stateBroker + host, Value: facts{level: levelPlain, levelAt: time.Now()}.bytes()})); err != nil {
		t.Fatal(err)
	}
	cfg, log = named(t, rabbit.URL, "qos")
	l = start(t, m, cfg)
	l.up(t)
	for i := range 20 {
		m.Add(bridge.KindInbox, "1001", "2001", body("w", i))
	}
	m.Until(t, "closed", bridgetest.AllClosed)
	tally(t, "out", 1, 20, p.hears(t, 45)[25:])
	if n := log.times("the broker has no QoS 2"); n != 1 || !l.brokers.lacksQoS2(host, time.Now()) {
		t.Errorf("said %d times", n)
	}
	if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
		t.Errorf("maybe_duplicate is %d", n)
	}
}

// rabbitMoved has a message that Mosquitto had taken in part (PUBREC) and one that it had not, when it went away.
func rabbitMoved(t *testing.T, rabbit *servers.RabbitMQ) {
	r := newRig(t, servers.MosquittoConfig{})
	p := newPerson(t, rabbit.URL, "person2", "/chat/2001")
	before, _ := named(t, rabbit.URL, "moved") // what RabbitMQ lacks is known before
	first := start(t, r.m, before)
	first.up(t)
	first.stop()
	r.cfg.URLs, r.cfg.ClientID = append(r.cfg.URLs, rabbit.URL), before.ClientID
	l := r.released(t)
	r.m.Until(t, "closed at RabbitMQ", bridgetest.AllClosed)
	l.up(t)
	tally(t, "out", 1, 1, p.hears(t, 1))
	if n := r.m.Counted(bridge.MaybeDuplicate); n != 1 {
		t.Errorf("maybe_duplicate is %d, want 1", n)
	}
}

// otherLevels goes from a broker that has the bridge bit to one that has not, and back, within one process.
func otherLevels(t *testing.T, other string) {
	mosquitto := servers.NewMosquitto(t, servers.MosquittoConfig{Persistence: true})
	cfg, log := named(t, mosquitto.URL, "levels")
	cfg.URLs = append(cfg.URLs, other)
	m := bridgetest.NewMemory(t)
	l := start(t, m, cfg)
	at := func(url string, level session.Level) {
		t.Helper()
		l.eventually(t, "up at "+url, func() bool {
			k := l.current()
			return k != nil && strings.HasSuffix(url, k.url.Host) && k.level == level
		})
	}
	at(mosquitto.URL, levelBridge)
	if err := mosquitto.Stop(); err != nil {
		t.Fatal(err)
	}
	at(other, levelPlain)
	if err := mosquitto.Start(); err != nil {
		t.Fatal(err)
	}
	l.current().conn.Close(errRenewed) // ours: back to the first one
	at(mosquitto.URL, levelBridge)
	if log.has("another client") {
		t.Error("taken for a fight")
	}
}

func checkOther(t *testing.T, url string) {
	cfg, _ := named(t, url, "check")
	plain := false
	for _, s := range Check(t.Context(), cfg) {
		if !s.OK {
			t.Errorf("%+v", s)
		}
		plain = plain || strings.Contains(s.Text(), "without the bridge bit")
	}
	if !plain {
		t.Error("Check does not say that there is no bridge bit")
	}
}

// TestNATS is a broker with QoS 2 that does not know the bridge bit, and answers so.
func TestNATS(t *testing.T) {
	t.Parallel()
	nats := servers.NewNATS(t)
	t.Run("levels", func(t *testing.T) { otherLevels(t, nats.URL) })
	t.Run("check", func(t *testing.T) { checkOther(t, nats.URL) })
	t.Run("as it comes", func(t *testing.T) { fromFive(t, nats.URL, "/chat/3001") })
	t.Run("both ways", func(t *testing.T) {
		p := newPerson(t, nats.URL, "person", "/chat/2001")
		cfg, log := named(t, nats.URL, "both")
		m := bridgetest.NewMemory(t)
		start(t, m, cfg).up(t)
		for i := range 20 {
			m.Add(bridge.KindInbox, "1001", "2001", body("x", i))
			p.says(t, "/chat/1001", body("y", i))
		}
		m.Until(t, "closed", bridgetest.AllClosed)
		tally(t, "out", 1, 20, p.hears(t, 20))
		if log.has("no QoS 2") {
			t.Error("NATS has QoS 2")
		}
	})
}

// fromFive: MQTT 5 is tried first, and the relay ends at the level that the broker knows; after a restart at once.
func fromFive(t *testing.T, url, inbox string) {
	p := newPerson(t, url, "person3", inbox)
	m := bridgetest.NewMemory(t)
	for n := range 2 {
		cfg, log := named(t, url, "five")
		cfg.Version = 0
		l := start(t, m, cfg)
		l.up(t)
		if k := l.current(); k == nil || k.level != levelPlain {
			t.Errorf("up with %v", k)
		}
		m.Add(bridge.KindInbox, "1001", inbox[len("/chat/"):], body("v", n))
		m.Until(t, "closed", bridgetest.AllClosed)
		if tried := log.has("trying MQTT 3.1.1"); tried != (n == 0) {
			t.Errorf("process %d: a plainer level was tried: %v", n, tried)
		}
		l.stop()
	}
	tally(t, "out", 1, 2, p.hears(t, 2))
}

// named is a configuration of its own client id, prefix for nobody else, and a log.
func named(t *testing.T, url, name string) (Config, *testLog) {
	t.Helper()
	log := &testLog{tb: t}
	cfg := testConfig(t, url)
	cfg.ClientID = "relay-" + name
	cfg.StatusTopic = fmt.Sprintf("chatrelay/%s/status", cfg.ClientID)
	cfg.Log = cfg.Log.Output(log)
	return cfg, log
}

func (l *testLog) times(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// TestLevelSearch walks through what brokers may do to a CONNECT.
func TestLevelSearch(t *testing.T) {
	now := time.Now()
	newOne := func() *brokers { return newBrokers(bridgetest.NewMemory(t).SideJournal(), 3) }
	want := func(t *testing.T, b *brokers, level session.Level) {
		t.Helper()
		if got := b.level("h", now); got != level {
			t.Errorf("level %#x, want %#x", got, level)
		}
	}
	refused := func(t *testing.T, b *brokers, reply answer, again bool) {
		t.Helper()
		if got, _ := b.refused("h", b.level("h", now), reply, now); got != again {
			t.Errorf("again %v, want %v", got, again)
		}
	}
	t.Run("refused, then proven, and tried again after an hour", func(t *testing.T) {
		b := newOne()
		want(t, b, levelBridge)
		refused(t, b, answerLevel, true)
		want(t, b, levelPlain)
		b.accepted("h", levelPlain, now)
		want(t, b, levelPlain)
		b.accepted("h", levelPlain, now.Add(factAge/2)) // holds on: not counted anew
		again := now.Add(factAge + time.Second)
		if got := b.level("h", again); got != levelBridge {
			t.Errorf("after an hour level %#x", got)
		}
		b.refused("h", levelBridge, answerLevel, now)
		b.accepted("h", levelPlain, again)
		if got := b.level("h", again.Add(factAge/2)); got != levelPlain {
			t.Errorf("level %#x right after it was tried in vain", got)
		}
	})
	t.Run("no CONNACK at any level", func(t *testing.T) {
		b := newOne()
		refused(t, b, answerNone, false)
		want(t, b, levelBridge)
		refused(t, b, answerNone, true)
		want(t, b, levelPlain)
		refused(t, b, answerNone, false)
		want(t, b, levelBridge) // once only
		b.accepted("h", levelBridge, now)
		want(t, b, levelBridge)
	})
	t.Run("a proven level is not given up at once", func(t *testing.T) {
		b := newOne()
		b.accepted("h", levelBridge, now)
		for range 10 * provenMuteLimit { // within a moment
			refused(t, b, answerNone, false)
		}
		if again, _ := b.refused("h", levelBridge, answerNone, now.Add(provenMuteTime)); !again {
			t.Error("it is never given up")
		}
		want(t, b, levelPlain)
		refused(t, b, answerNone, false)
		want(t, b, levelBridge) // once only
	})
	t.Run("a refused login is no refused level", func(t *testing.T) {
		b := newOne()
		refused(t, b, answerNone, false)
		refused(t, b, answerLogin, false)
		refused(t, b, answerNone, false)
		want(t, b, levelBridge)
	})
	t.Run("each address by itself", func(t *testing.T) {
		b := newOne()
		b.refused("other", levelBridge, answerLevel, now)
		b.accepted("other", levelPlain, now)
		want(t, b, levelBridge)
	})
	t.Run("clock set back", func(t *testing.T) {
		b := newOne()
		b.accepted("h", levelPlain, now.Add(24*time.Hour))
		want(t, b, levelBridge)
	})
}

// TestFacts: what is known of a broker is known after a restart, and damaged rows are nothing.
func TestFacts(t *testing.T) {
	now := time.UnixMilli(time.Now().UnixMilli())
	m := bridgetest.NewMemory(t)
	b := newBrokers(m.SideJournal(), 3)
	b.accepted("h:1", levelPlain, now)
	b.setNoQoS2("h:1", now)
	b.setReplaced("h:1")
	m.Until(t, "committed", func(s bridgetest.Sum) bool { return s.Queued == 0 })
	again := newBrokers(m.SideJournal(), 3)
	again.restore(map[string][]byte{stateBroker + "h:1": m.Row(stateBroker + "h:1"), stateBroker + "x": {1, 2}, stateFilter: {3}})
	if again.level("h:1", now) != levelPlain || !again.lacksQoS2("h:1", now) || !again.replaces("h:1") {
		t.Errorf("after a restart: %+v", again.of("h:1").facts)
	}
	if again.of("x").facts != (facts{}) || again.sideSafe("h:1") {
		t.Error("damage counts")
	}
	if again.lacksQoS2("h:1", now.Add(factAge+time.Second)) {
		t.Error("a PUBACK counts for longer than an hour")
	}
	again.granted("h:1", 1)
	if !again.lacksQoS2("h:1", now.Add(48*time.Hour)) {
		t.Error("a SUBACK does not count as long as the session")
	}
	if again.granted("h:1", 2); again.lacksQoS2("h:1", now) {
		t.Error("a SUBACK at QoS 2 does not count")
	}
	again.setLimits("h:1", session.Limits{Receive: 20, QoS: 1}, now)
	if !again.lacksQoS2("h:1", now) {
		t.Error("Maximum QoS does not count")
	}
}

// TestCanary: where our own login was refused, three of four attempts are a side login alone.
func TestCanary(t *testing.T) {
	b := newBrokers(bridgetest.NewMemory(t).SideJournal(), 0)
	if b.canary("h") {
		t.Error("our own was not tried yet")
	}
	for range 2 {
		b.refused("h", level5, answerLogin, time.Now())
		for n, want := range []bool{true, true, true, false} {
			if got := b.canary("h"); got != want {
				t.Errorf("attempt %d: %v", n, got)
			}
		}
	}
	b.accepted("h", level5, time.Now())
	if b.canary("h") {
		t.Error("it was let in")
	}
}

// TestAsks: by MQTT 3.1.1 the limit is asked for, but not for ever of a broker that does not know MQTT 5.
func TestAsks(t *testing.T) {
	now := time.Now()
	none := session.Limits{}
	five := newBrokers(bridgetest.NewMemory(t).SideJournal(), 0)
	if five.asks("h", now) {
		t.Error("our own login tells")
	}
	b := newBrokers(bridgetest.NewMemory(t).SideJournal(), 3)
	wants := func(when string, want bool) {
		t.Helper()
		if got := b.asks("h", now); got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
	wants("at first", true)
	b.noteLimits("h", none, errors.New("hung up"), now)
	wants("once without an answer", true)
	b.noteLimits("h", session.Limits{Receive: 20, QoS: 2}, nil, now)
	if window, _ := b.window("h", 0); window != 10 || !b.sideSafe("h") {
		t.Errorf("the window is %d", window)
	}
	b.noteLimits("h", none, errors.New("hung up"), now)
	b.noteLimits("h", none, errors.New("hung up"), now)
	wants("twice without", false)
	if window, _ := b.window("h", 0); window != 10 {
		t.Errorf("forgotten: the window is %d", window)
	}
	now = now.Add(factAge)
	wants("after an hour", true)
	b.noteLimits("h", none, refused{errLevel}, now)
	wants("refused", false)
}

// TestSideLevel: side logins go by what is proven, also when the relay's own next login tries a better level.
func TestSideLevel(t *testing.T) {
	now := time.Now()
	b := newBrokers(bridgetest.NewMemory(t).SideJournal(), 0)
	wants := func(when string, own, side session.Level) {
		t.Helper()
		if o, s := b.level("h", now), b.sideLevel("h"); o != own || s != side {
			t.Errorf("%s: %#x and %#x, want %#x and %#x", when, o, s, own, side)
		}
	}
	wants("at first", level5, level5)
	b.refused("h", level5, answerLevel, now)
	wants("MQTT 5 is refused", levelBridge, levelPlain)
	b.accepted("h", levelBridge, now)
	now = now.Add(factAge)
	wants("after an hour", level5, levelPlain)
	b.refused("h", level5, answerLevel, now)
	wants("refused again", levelBridge, levelPlain)
	b.accepted("h", level5, now)
	wants("MQTT 5 is proven", level5, level5)
}
