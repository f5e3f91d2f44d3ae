package mqttside

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestFive: by MQTT 5 nothing logs in beside the relay to hear its probes, own messages do not come back, and what is
// acknowledged is certain; so it is after a restart, when probes have another topic.
func TestFive(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Version = 0
	finish(t, r.p.Publish("/chat/1001", 2, true, "kept by the broker"))
	n := 0
	for range 3 {
		l := start(t, r.m, r.cfg)
		l.up(t)
		if k := l.current(); k.level != level5 || l.prover.listener != nil {
			t.Errorf("level %#x, listener %v", k.level, l.prover.listener)
		}
		for range 20 {
			r.add(n)
			r.p.says(t, "/chat/1001", body("y", n))
			n++
		}
		r.m.Until(t, "sent", bridgetest.AllClosed)
		r.m.Until(t, "taken", takenN(n))
		if s := r.m.Sum(); s.Unproven > 0 {
			t.Errorf("%d are unproven", s.Unproven)
		}
		l.stop()
	}
	tally(t, "out", 1, n, r.p.hears(t, n))
	tally(t, "in", 1, n, bodies(r.m)) // and nothing retained, nothing of our own
	r.trap.mu.Lock()
	defer r.trap.mu.Unlock()
	subs := 0
	for _, p := range r.trap.seen {
		if p.Dir == proxy.Up && p.Type == proxy.SUBSCRIBE && bytes.Contains(p.Raw, []byte(r.cfg.Prefix+"/")) { // none of a look beside
			subs++
		}
	}
	if subs != 3+3 {
		t.Errorf("%d SUBSCRIBE, want one for the inboxes and one for the probes at each login", subs)
	}
}

// TestDeniedInbox: by MQTT 5 the broker says that it does not let the relay publish to an inbox. That message alone is dead,
// with what mends it, and nothing else is held up.
func TestDeniedInbox(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: strings.Replace(aclAll, "topic readwrite /chat/#", "topic deny /chat/2002\ntopic readwrite /chat/#", 1)})
	r.cfg.Version = 5
	l := start(t, r.m, r.cfg)
	l.up(t)
	var denied, good []bridge.Ref
	for i := range 10 {
		good = append(good, r.m.Add(bridge.KindInbox, "1001", "2001", body("x", i)))
		denied = append(denied, r.m.Add(bridge.KindInbox, "1001", "2002", body("z", i)))
	}
	r.m.Until(t, "closed", bridgetest.AllClosed)
	for _, ref := range good {
		if _, err := r.m.Delivery(ref); err != nil {
			t.Errorf("%v is dead: %v", ref, err)
		}
	}
	for _, ref := range denied {
		if _, err := r.m.Delivery(ref); err == nil || !strings.Contains(err.Error(), `"topic readwrite /chat/#"`) {
			t.Errorf("%v: %v, want it dead with the ACL line", ref, err)
		}
	}
	tally(t, "out", 1, 10, r.p.hears(t, 10))
	if k := l.current(); k == nil || !k.alive() {
		t.Error("the connection has ended")
	}
}

// TestLengthFromBroker: by MQTT 5 the broker says how long a packet it takes. What is longer is refused, and never sent.
func TestLengthFromBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{Extra: "max_packet_size 4000"})
	r.cfg.Version = 5
	l := start(t, r.m, r.cfg)
	l.up(t)
	ref := r.m.Add(bridge.KindInbox, "1001", "2001", strings.Repeat("x", 4000))
	r.add(0)
	r.m.Until(t, "closed", bridgetest.AllClosed)
	if _, err := r.m.Delivery(ref); err == nil || !strings.Contains(err.Error(), "too_large") {
		t.Errorf("the long one: %v", err)
	}
	tally(t, "out", 1, 1, r.p.hears(t, 1))
	if n := r.trap.logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// TestKeepsNothing: a broker that keeps nothing refuses a will that is to be kept. The relay does without, by MQTT 5 as before.
func TestKeepsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{Extra: "retain_available false"})
	r.cfg.Version = 0
	watcher := newPerson(t, r.broker.URL, "watcher", r.cfg.StatusTopic)
	for i := range 2 { // nor does it ask twice
		l := start(t, r.m, r.cfg)
		l.up(t)
		if k := l.current(); k.level != level5 {
			t.Errorf("level %#x", k.level)
		}
		r.link.Cut()
		watcher.hears(t, 4*i+3)
		r.add(i)
		r.m.Until(t, "sent", bridgetest.AllClosed)
		l.stop()
		watcher.hears(t, 4*i+4)
	}
	for i, text := range watcher.all() { // each time: online, the will, online, the goodbye
		if want := [2]string{"online", "offline"}[i%2]; !strings.Contains(text, `"status":"`+want+`"`) {
			t.Errorf("status %d is %s, want %s", i, text, want)
		}
	}
	tally(t, "out", 1, 2, r.p.hears(t, 2))
	if n := r.trap.logins(); n != 2*3 {
		t.Errorf("%d logins, want two of each process and one that is refused", n)
	}
}

// TestConfirmsNothing: a broker without QoS 1 cannot be used, and says so by MQTT 5.
func TestConfirmsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{Listener: "max_qos 0"})
	r.cfg.Version = 0
	for _, topic := range []string{r.cfg.StatusTopic, ""} { // the will alone asks for QoS 1
		r.cfg.StatusTopic = topic
		l := start(t, r.m, r.cfg)
		r.add(0)
		l.eventually(t, "said", func() bool { _, why := l.Up(); return strings.Contains(why, "takes no QoS above 0") })
		l.stop()
		if steps := Check(t.Context(), r.cfg); !strings.Contains(steps[len(steps)-1].Text(), "takes no QoS above 0") {
			t.Errorf("%+v", steps)
		}
	}
	if s := r.m.Sum(); bridgetest.AllClosed(s) {
		t.Error("the message is gone")
	}
}

// TestQoSFromBroker: by MQTT 5 a broker says that it has no QoS 2 before anything is resumed there: what another one had taken in
// part goes on at QoS 1, and nobody hangs up.
func TestQoSFromBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	other := servers.NewMosquitto(t, servers.MosquittoConfig{Listener: "max_qos 1"})
	p := newPerson(t, other.URL, "person2", "/chat/2001")
	r.cfg.Version, r.cfg.URLs = 5, append(r.cfg.URLs, other.URL)
	l := r.released(t)
	r.m.Until(t, "closed at the other one", bridgetest.AllClosed)
	l.up(t)
	tally(t, "out", 1, 1, p.hears(t, 1))
	if n := r.m.Counted(bridge.MaybeDuplicate); n != 1 {
		t.Errorf("maybe_duplicate is %d, want 1", n)
	}
	if host := strings.TrimPrefix(other.URL, "tcp://"); !l.brokers.lacksQoS2(host, time.Now()) {
		t.Error("it is not known")
	}
}
