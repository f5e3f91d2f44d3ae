package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// What the broker lets the relay do; all others, who have no user name, may do all.
const (
	mayAll     = "topic readwrite #\n\nuser chatrelay\ntopic readwrite chatrelay/#\ntopic readwrite /chat/#"
	mayRead    = "topic readwrite #\n\nuser chatrelay\ntopic readwrite chatrelay/#\ntopic read /chat/#"
	mayNotOne  = "topic readwrite #\n\nuser chatrelay\ntopic readwrite chatrelay/#\ntopic deny /chat/1003\ntopic readwrite /chat/#"
	mayPublish = "topic readwrite #\n\nuser chatrelay\ntopic readwrite chatrelay/#\ntopic write /chat/#"
)

// news is what people hear, by the content of the message: the id of its stanza too.
type news struct {
	mu      sync.Mutex // guards both
	arrived map[string]int
	notices map[string][]string
}

func (n *news) HearMQTT(_ string, payload []byte) {
	var e stage.Envelope
	if json.Unmarshal(payload, &e) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Notice() {
		n.notices[label(e.About())] = append(n.notices[label(e.About())], e.Status)
		return
	}
	n.arrived[label(e.Content)]++
}

func (n *news) HearXMPP(_ string, s clients.Stanza) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case s.Type == "error":
		n.notices[s.ID] = append(n.notices[s.ID], "error")
	case s.Received != "":
		n.notices[s.Received] = append(n.notices[s.Received], "sent")
	}
}

// label is the first word of a content: the rest only makes it long.
func label(content string) string {
	word, _, _ := strings.Cut(content, " ")
	return word
}

// count tells how many of the messages are so.
func (n *news) count(ids []string, is func(arrived int, notices []string) bool) (k int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		if is(n.arrived[id], n.notices[id]) {
			k++
		}
	}
	return k
}

func arrived(n int, _ []string) bool { return n > 0 }

func failed(_ int, notices []string) bool {
	return len(notices) > 0 && (notices[len(notices)-1] == "failed" || notices[len(notices)-1] == "error")
}

func toldSent(_ int, notices []string) bool {
	return strings.Contains(strings.Join(notices, " "), "sent")
}

// liedTo is who was told that it was sent, and not that it failed, though it did not arrive.
func liedTo(n int, notices []string) bool {
	words := strings.Join(notices, " ")
	return n == 0 && strings.Contains(words, "sent") && !strings.Contains(words, "failed") && !strings.Contains(words, "error")
}

// rights is a stage whose broker has an ACL.
type rights struct {
	*stage.Stage
	*news
	t   *testing.T
	ids []string
}

func newRights(t *testing.T, cfg servers.MosquittoConfig, version string) *rights {
	t.Helper()
	cfg.ACL, cfg.MaxQueued = cmp.Or(cfg.ACL, mayAll), 100_000
	n := &news{arrived: map[string]int{}, notices: map[string][]string{}}
	s := stage.New(t, stage.Plan{Binary: binary, Start: servers.NewProsody, Broker: cfg, Heard: n, Env: map[string]string{"MQTT_USERNAME": "chatrelay", "MQTT_VERSION": version}})
	return &rights{Stage: s, news: n, t: t}
}

// send says something to 1002 by XMPP, with a receipt asked for; its id.
func (r *rights) send(long int) string {
	r.t.Helper()
	return r.sendTo("1002", long)
}

func (r *rights) sendTo(to string, long int) string {
	r.t.Helper()
	id := fmt.Sprintf("m%d", len(r.ids))
	e := stage.Direct("1001", to, strings.TrimSpace(id+" "+strings.Repeat("x", long)))
	raw := fmt.Sprintf("<message to='%s' type='chat' id='%s'><body>%s</body><request xmlns='urn:xmpp:receipts'/></message>",
		r.Receiver(), id, clients.Escape(e.String()))
	if err := r.Person("1001").X.Raw(raw); err != nil {
		r.t.Fatal(err)
	}
	r.ids = append(r.ids, id)
	return id
}

func (r *rights) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// until polls, and says how long it took.
func (r *rights) until(what string, limit time.Duration, ok func() bool) {
	r.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			r.t.Fatalf("not within %v: %s; arrived %d of %d, failed %d; %s", limit, what, r.count(r.ids, arrived), len(r.ids), r.count(r.ids, failed), r.Relay.Status())
		}
		time.Sleep(20 * time.Millisecond) // a poll's pause
	}
	r.t.Logf("%s after %v", what, time.Since(began).Round(100*time.Millisecond))
}

// unready tells whether the relay says that the broker's ACL is not right.
func (r *rights) unready() bool {
	ctx, cancel := context.WithTimeout(r.t.Context(), stage.WaitLimit)
	defer cancel()
	code, body, err := r.Relay.Get(ctx, "/readyz")
	return err == nil && code != http.StatusOK && strings.Contains(body, `topic readwrite /chat/#`)
}

// end wants all to have arrived once or to be told the truth, and the account to be right.
func (r *rights) end() {
	r.t.Helper()
	r.until("all arrived, or their senders know", time.Minute, func() bool {
		return r.count(r.ids, func(n int, notices []string) bool { return n > 0 || failed(n, notices) }) == len(r.ids)
	})
	if n := r.count(r.ids, liedTo); n > 0 {
		r.t.Errorf("%d were sent and are missing", n)
	}
	r.Relay.Balanced()
}

func amount(short, long int) int {
	if full {
		return long
	}
	return short
}

// TestRights: a broker that acknowledges what it drops. None is sent and missing; the relay says what is wrong, and goes
// on by itself when it is right.
func TestRights(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		t.Run("MQTT "+version, func(t *testing.T) { rightsFromTheStart(t, version) })
	}
	t.Run("one inbox", oneInbox)
	t.Run("taken away, MQTT 5", takenAwayAndTold)
	t.Run("taken away, then killed", takenAwayThenKilled)
	t.Run("taken away under load", takenAwayUnderLoad)
	t.Run("limit lowered", limitLowered)
}

// rightsFromTheStart: a right is missing, or a limit low, from the first login on.
func rightsFromTheStart(t *testing.T, version string) {
	for name, acl := range map[string]string{"no publish right": mayRead, "no subscribe right": mayPublish} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRights(t, servers.MosquittoConfig{}, version)
			r.Relay.Stop()
			r.must(r.MQTT.SetACL(acl))
			r.Relay.Launch()
			r.until("it says what is wrong", 10*time.Second, r.unready)
			for range amount(50, 1000) {
				r.send(0)
			}
			r.until("all are taken", time.Minute, func() bool { return r.Relay.Status().Counts["pending"] == int64(len(r.ids)) })
			if n := r.count(r.ids, toldSent) + r.count(r.ids, arrived); n > 0 {
				t.Errorf("%d have left, or are said to have", n)
			}
			r.must(r.MQTT.SetACL(mayAll))
			r.must(r.Relay.Ready(15 * time.Second))
			r.end()
			if n := r.count(r.ids, func(n int, _ []string) bool { return n == 1 }); n != len(r.ids) {
				t.Errorf("%d of %d arrived once", n, len(r.ids))
			}
		})
	}
	t.Run("size limit", func(t *testing.T) {
		t.Parallel()
		r := newRights(t, servers.MosquittoConfig{MessageSizeLimit: 2000}, version)
		var long []string
		for i := range amount(50, 1000) {
			if i%10 == 0 {
				long = append(long, r.send(3000))
			} else {
				r.send(0)
			}
		}
		r.end()
		if n := r.count(long, failed); n != len(long) {
			t.Errorf("%d of %d long ones failed", n, len(long))
		}
		r.must(r.MQTT.SetMessageSizeLimit(1_000_000))
		time.Sleep(11 * time.Second) // what was tried just now is not tried again sooner
		last := r.send(3000)
		r.until("a long one arrives", 4*time.Second, func() bool { return r.count([]string{last}, arrived) == 1 })
	})
}

// oneInbox: by MQTT 5 a right that is missing for one inbox is seen. Its messages fail, each at once, and nothing else does.
func oneInbox(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: mayNotOne}, "5")
	var denied []string
	for range 10 {
		r.send(0)
		id := r.sendTo("1003", 0)
		denied = append(denied, id)
		r.until("the sender of "+id+" knows", 3*time.Second, func() bool { return r.count([]string{id}, failed) == 1 })
		r.send(0)
	}
	r.end()
	if n, m := r.count(r.ids, arrived), r.count(r.ids, failed); n != len(r.ids)-len(denied) || m != len(denied) {
		t.Errorf("%d arrived, %d failed", n, m)
	}
	if r.unready() {
		t.Error("not ready")
	}
}

// takeAway takes away the right to publish when ten messages have arrived, and sends more.
func (r *rights) takeAway() {
	for range 10 {
		r.send(0)
	}
	r.until("the first arrived", stage.WaitLimit, func() bool { return r.count(r.ids, arrived) == len(r.ids) })
	r.must(r.MQTT.SetACL(mayRead))
	for range amount(40, 990) {
		r.send(0)
	}
}

// takenAwayAndTold: by MQTT 5 the broker says so. Nothing is said to be sent that did not arrive, and all arrives once it may.
func takenAwayAndTold(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{}, "5")
	r.takeAway()
	r.until("it says what is wrong", 15*time.Second, r.unready)
	if n := r.count(r.ids, liedTo) + r.count(r.ids, failed); n > 0 {
		t.Errorf("%d were told what is not so", n)
	}
	r.must(r.MQTT.SetACL(mayAll))
	r.must(r.Relay.Ready(15 * time.Second))
	r.until("all arrived once", time.Minute, func() bool { return r.count(r.ids, func(n int, _ []string) bool { return n == 1 }) == len(r.ids) })
	r.end()
}

// takenAwayThenKilled: by MQTT 3.1.1 the broker acknowledges what it drops, until the next probe.
func takenAwayThenKilled(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{}, "3.1.1")
	r.takeAway()
	r.until("all are said to be sent", time.Minute, func() bool { return r.count(r.ids, toldSent) == len(r.ids) })
	r.Relay.Kill()
	r.Relay.Launch()
	r.until("it says what is wrong", 10*time.Second, r.unready)
	lost := r.ids[10:]
	r.until("the senders of all that is missing know, by XMPP", 3*time.Minute, func() bool { return r.count(lost, failed) == len(lost) })
	r.must(r.MQTT.SetACL(mayAll))
	r.must(r.Relay.Ready(15 * time.Second))
	r.send(0)
	r.end()
}

// takenAwayUnderLoad takes a right away while messages flow: by MQTT 3.1.1 it is seen by the next probe.
func takenAwayUnderLoad(t *testing.T) {
	if !full {
		t.Skip("half a minute: mqttside's TestRightTakenAway has it in small")
	}
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{}, "3.1.1")
	send := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(25 * time.Millisecond) { // the pace of the load
			r.send(0)
		}
	}
	send(5 * time.Second)
	r.must(r.MQTT.SetACL(mayRead))
	began := time.Now()
	for !r.unready() {
		send(200 * time.Millisecond)
		if time.Since(began) > 45*time.Second {
			t.Fatal("never said")
		}
	}
	if took := time.Since(began); took > 35*time.Second {
		t.Errorf("said after %v", took)
	}
	r.until("the senders of all that is missing know, by XMPP", 5*time.Minute, func() bool { return r.count(r.ids, liedTo) == 0 })
	r.must(r.MQTT.SetACL(mayAll))
	r.must(r.Relay.Ready(15 * time.Second))
	r.end()
}

// limitLowered has the broker drop, all of a sudden, what is as long as what it has taken so far: by MQTT 3.1.1 the next probe, as
// long as the longest message, shows it.
func limitLowered(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{MessageSizeLimit: 1_000_000}, "3.1.1")
	send := func() {
		r.send(5000)
		time.Sleep(time.Duration(amount(500, 50)) * time.Millisecond) // the pace of the load
	}
	for range 10 {
		send()
	}
	r.until("the first arrived", stage.WaitLimit, func() bool { return r.count(r.ids, arrived) == len(r.ids) })
	r.must(r.MQTT.SetMessageSizeLimit(2000))
	for began := time.Now(); r.count(r.ids, failed) == 0; send() {
		if time.Since(began) > 45*time.Second {
			t.Fatal("never said")
		}
	}
	short := r.send(0)
	r.until("a short one arrives", 15*time.Second, func() bool { return r.count([]string{short}, arrived) == 1 })
	r.until("the senders of all that is missing know", time.Minute, func() bool { return r.count(r.ids, liedTo) == 0 })
	r.end()
}
