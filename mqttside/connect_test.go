package mqttside

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestTransports sends both ways over each kind of connection.
func TestTransports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certs, err := servers.MakeCerts(dir, "chatrelay")
	if err != nil {
		t.Fatal(err)
	}
	wss := servers.FreeAddr(t)
	_, port, _ := strings.Cut(wss, ":")
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{
		TLS: true, Websockets: true,
		Extra: fmt.Sprintf("listener %s 127.0.0.1\nprotocol websockets\ncafile %s\ncertfile %s\nkeyfile %s",
			port, certs.CAFile, certs.CertFile, certs.KeyFile),
	})
	mutual := servers.NewMosquitto(t, servers.MosquittoConfig{RequireClientCert: true})
	dead := "tcp://" + servers.FreeAddr(t)
	tests := []struct {
		name  string
		plain string // of the same broker
		set   func(*Config)
	}{
		{"tcp", broker.URL, func(c *Config) { c.URLs = []string{broker.URL} }},
		{"ws", broker.URL, func(c *Config) { c.URLs = []string{broker.WSURL} }},
		{"ssl", broker.URL, func(c *Config) { c.URLs, c.Roots = []string{broker.TLSURL}, servers.Roots(t, broker.CAFile) }},
		{"wss", broker.URL, func(c *Config) {
			c.URLs, c.Roots = []string{"wss://localhost:" + port + "/mqtt"}, servers.Roots(t, certs.CAFile)
		}},
		{"mTLS", mutual.URL, func(c *Config) {
			c.URLs, c.Roots = []string{mutual.TLSURL}, servers.Roots(t, mutual.CAFile)
			c.Certificates = servers.Pair(t, mutual.ClientCertFile, mutual.ClientKeyFile)
		}},
		{"the second of two", broker.URL, func(c *Config) { c.URLs = []string{dead, broker.URL} }},
	}
	for i, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			m := bridgetest.NewMemory(t)
			cfg := testConfig(t, "")
			cfg.ClientID, cfg.Prefix, cfg.StatusTopic = fmt.Sprint("relay", i), fmt.Sprint("/chat", i), ""
			tc.set(&cfg)
			l := start(t, m, cfg)
			l.up(t)
			p := newPerson(t, tc.plain, fmt.Sprint("p", i), cfg.Prefix+"/2001")
			big := strings.Repeat("x", 150<<10)
			if strings.HasPrefix(cfg.URLs[0], "ws") { // slow in Mosquitto 2.0.11
				big = big[:20<<10]
			}
			m.Add(bridge.KindInbox, "1001", "2001", big)
			if got := p.hears(t, 1)[0]; got != cfg.Prefix+"/2001 "+big {
				t.Errorf("heard %.60q", got)
			}
			p.says(t, cfg.Prefix+"/1001", big)
			m.Until(t, "taken", takenN(1))
			if in := m.Taken()[0]; string(in.Body) != big || in.To != "1001" || in.Refused != nil {
				t.Errorf("taken to %q, %v", in.To, in.Refused)
			}
		})
	}
}

// TestRefused is what the side says when it is not let in, and that Check says the same.
func TestRefused(t *testing.T) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{RequireClientCert: true, Users: map[string]string{"relay": "right"}})
	other, err := servers.MakeCerts(t.TempDir(), "x")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"wrong password", func(c *Config) { c.Username, c.Password = "relay", Fixed("wrong") }, "CHATRELAY_MQTT_PASSWORD"},
		{"no name", func(*Config) {}, "CHATRELAY_MQTT_USERNAME"},
		{"password file gone", func(c *Config) {
			c.Username, c.Password = "relay", func() (string, error) { return "", errors.New("no such file") }
		}, "CHATRELAY_MQTT_PASSWORD_FILE"},
		{"nobody there", func(c *Config) { c.URLs = []string{"tcp://" + servers.FreeAddr(t)} }, "refused"},
		{"wrong CA", func(c *Config) { c.URLs, c.Roots = []string{broker.TLSURL}, servers.Roots(t, other.CAFile) }, "unknown authority"},
		{"wrong name in the certificate", func(c *Config) {
			c.URLs, c.Roots = []string{"ssl://" + otherName(t, broker.Certs)}, servers.Roots(t, broker.CAFile)
		}, "127.0.0.2"},
		{"no client certificate", func(c *Config) { c.URLs, c.Roots = []string{broker.TLSURL}, servers.Roots(t, broker.CAFile) }, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig(t, broker.URL)
			tc.set(&cfg)
			m := bridgetest.NewMemory(t)
			l := start(t, m, cfg)
			l.down(t, tc.want)
			l.eventually(t, "an attempt", func() bool { _, why := l.Up(); return why != "not started" })
			steps := Check(t.Context(), cfg)
			last := steps[len(steps)-1]
			if last.OK || !last.Fatal || !strings.Contains(last.Text(), tc.want) || !strings.Contains(last.Text(), "CHATRELAY_MQTT") {
				t.Errorf("Check says %+v", last)
			}
			l.stop()
		})
	}
}

// otherName listens, with a broker's certificate, at an address that is not in it.
func otherName(t *testing.T, certs servers.Certs) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certs.CertFile, certs.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake() // the client breaks it off
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}

// TestPasswordAnew rotates the password: the new one is used without a restart.
func TestPasswordAnew(t *testing.T) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{Users: map[string]string{"relay": "new", "person": "person"}})
	var word atomic.Value
	word.Store("old")
	cfg := testConfig(t, broker.URL)
	cfg.Username, cfg.Password = "relay", func() (string, error) { return word.Load().(string), nil }
	l := start(t, bridgetest.NewMemory(t), cfg)
	l.down(t, "refuses the login")
	word.Store("new")
	l.up(t)
}

// TestCheck holds the steps against real brokers.
func TestCheck(t *testing.T) {
	t.Parallel()
	users := map[string]string{"relay": "relay"}
	tests := []struct {
		name   string
		broker servers.MosquittoConfig
		wrong  string // name of the step
		fatal  bool
		note   string
	}{
		{"all well", servers.MosquittoConfig{Users: users}, "", false, ""},
		{"small window", servers.MosquittoConfig{Users: users, MaxInflight: 4}, "publish window", false, "the window is 2"},
		{"may write only", servers.MosquittoConfig{Users: users, ACL: "user relay\ntopic write /chat/#"}, "rights", true, "ACL"},
		{"may read only", servers.MosquittoConfig{Users: users, ACL: "user relay\ntopic read /chat/#"}, "rights", true, "ACL"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			broker := servers.NewMosquitto(t, tc.broker)
			cfg := testConfig(t, broker.URL)
			cfg.Username, cfg.Password, cfg.Version, cfg.Window = "relay", Fixed("relay"), 0, 10
			noted := tc.note == ""
			for _, s := range Check(t.Context(), cfg) {
				bad := tc.wrong != "" && strings.Contains(s.Name, tc.wrong)
				if s.OK == bad || bad && s.Fatal != tc.fatal {
					t.Errorf("step %+v", s)
				}
				noted = noted || strings.Contains(s.Text(), tc.note)
			}
			if !noted {
				t.Errorf("no step says %q", tc.note)
			}
		})
	}
	dead := servers.FreeAddr(t)
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{})
	cfg := testConfig(t, "tcp://"+dead)
	cfg.URLs = append(cfg.URLs, broker.URL)
	failed := 0
	for _, s := range Check(t.Context(), cfg) {
		if !s.OK {
			failed++
		}
		if s.Fatal && !s.OK {
			t.Errorf("one broker of two is enough: %+v", s)
		}
	}
	if failed != 1 {
		t.Errorf("%d steps failed, want 1", failed)
	}
}

// TestCheckBesideRelay: a check does not disturb a relay that runs with the same settings.
func TestCheckBesideRelay(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	start(t, r.m, r.cfg).up(t)
	direct := r.cfg
	direct.URLs = []string{r.broker.URL}
	for _, s := range Check(t.Context(), direct) {
		if !s.OK {
			t.Errorf("%+v", s)
		}
	}
	r.add(0)
	r.p.hears(t, 1)
	if n := r.trap.logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// TestLevels falls back from the bridge bit.
func TestLevels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		code byte // to the bridge bit; 0xff: hangs up
	}{{"refused with code 1", 1}, {"hung up", 0xff}, {"answered as MQTT 5 does", 0x84}}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
				if c, ok := p.(*packets.ConnectPacket); ok && c.ProtocolVersion != 4 {
					if tc.code == 0xff {
						return nil, true
					}
					return []packets.ControlPacket{connack(tc.code)}, true
				}
				return polite(p), false
			})
			l := start(t, bridgetest.NewMemory(t), testConfig(t, f.url()))
			l.up(t)
			if level := l.current().level; level != levelPlain {
				t.Errorf("level %#x", level)
			}
		})
	}
}

// TestSubscribeRefused: a failure in SUBACK is said, and the side is not up.
func TestSubscribeRefused(t *testing.T) {
	t.Parallel()
	var allow atomic.Bool
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
		if s, ok := p.(*packets.SubscribePacket); ok && !allow.Load() {
			return []packets.ControlPacket{suback(s.MessageID, 0x80)}, false
		}
		return polite(p), false
	})
	l := start(t, bridgetest.NewMemory(t), testConfig(t, f.url()))
	l.down(t, "does not let us subscribe")
	allow.Store(true)
	l.up(t)
}

// TestWindow holds the acknowledgements back: no more than half of the broker's limit is in flight, and notices go
// beside only where that is wide.
func TestWindow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ limit, window, bound int }{{8, 4, 4}, {1000, 10, 10 + 10}} {
		t.Run(fmt.Sprint("limit ", tc.limit), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, servers.MosquittoConfig{MaxInflight: tc.limit})
			r.cfg.Version, r.cfg.Window = 5, 10
			r.trap.set(func(p proxy.Packet) proxy.Verdict {
				if p.Dir == proxy.Down && (p.Type == proxy.PUBREC || p.Type == proxy.PUBACK) {
					return proxy.Drop
				}
				return proxy.Pass
			})
			l := start(t, r.m, r.cfg)
			l.up(t)
			if n, _ := l.brokers.window(r.link.Addr(), 10); n != tc.window {
				t.Errorf("the window is %d, want %d", n, tc.window)
			}
			for i := range 10 {
				r.m.Add(bridge.KindNotice, "1001", "2001", body("n", i))
			}
			for i := range 20 {
				r.add(i)
			}
			r.m.Until(t, "the window is full", func(s bridgetest.Sum) bool {
				return s.Deliveries[bridgetest.Bound] == tc.bound && s.Deliveries[bridgetest.HandedOut] == 1
			})
			if k, _, err := l.ready(bridge.KindNotice); err != nil || (k != nil) != (tc.bound > tc.window) {
				t.Errorf("room for a notice: %v, %v", k != nil, err)
			}
			if k, _, _ := l.ready(bridge.KindInbox); k != nil {
				t.Error("room for mail")
			}
		})
	}
}

// TestStalled: a broker that answers pings and acknowledges nothing is left after a while.
func TestStalled(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.trap.set(once(proxy.Down, proxy.PUBREC, proxy.Drop, nil))
	r.add(0)
	l.eventually(t, "sent", func() bool { return r.trap.count(proxy.Down, proxy.PUBREC) == 1 })
	k := l.current()
	l.inspect(k, time.Now().Add(stalledAfter-time.Second))
	if !k.alive() {
		t.Error("left too early")
	}
	l.inspect(k, time.Now().Add(stalledAfter+time.Second))
	if k.alive() {
		t.Error("not left")
	}
	r.m.Until(t, "sent over the next connection", bridgetest.AllClosed)
	tally(t, "out", 1, 1, r.p.hears(t, 1))
}

// TestStatus is birth, will and leave.
func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	watcher := newPerson(t, r.broker.URL, "watcher", r.cfg.StatusTopic)
	says := func(n int) presence {
		t.Helper()
		var goodbye presence
		text := strings.TrimPrefix(watcher.hears(t, n)[n-1], r.cfg.StatusTopic+" ")
		if err := json.Unmarshal([]byte(text), &goodbye); err != nil || goodbye.ClientID != "chatrelay" || goodbye.At == 0 || goodbye.Instance == "" {
			t.Errorf("said %q: %v", text, err)
		}
		return goodbye
	}
	l := start(t, r.m, r.cfg)
	if got := says(1).Status; got != "online" {
		t.Errorf("birth says %q", got)
	}
	r.link.Refuse(true)
	r.link.Cut()
	if got := says(2).Status; got != "offline" {
		t.Errorf("the will says %q", got)
	}
	r.link.Refuse(false)
	if got := says(3).Status; got != "online" {
		t.Errorf("back, it says %q", got)
	}
	l.up(t)
	l.stop()
	if got := says(4).Status; got != "offline" {
		t.Errorf("leaving says %q", got)
	}
	late := newPerson(t, r.broker.URL, "late", r.cfg.StatusTopic)
	if got := late.hears(t, 1)[0]; !strings.Contains(got, "offline") {
		t.Errorf("retained: %q", got)
	}
	if n := len(watcher.all()); n != 4 {
		t.Errorf("%d said in all, want 4: the will must not follow a goodbye", n)
	}
}

// TestTakeover runs two relays with one client id: one stands back, says so, and takes over when the other leaves.
func TestTakeover(t *testing.T) { atLevels(t, takeover) }

func takeover(t *testing.T, version byte) {
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Version = version
	log := &testLog{tb: t}
	r.cfg.Log = r.cfg.Log.Output(log)
	one := start(t, r.m, r.cfg)
	one.up(t)
	two := start(t, bridgetest.NewMemory(t), r.cfg)
	back := func(l *run) bool {
		ok, why := l.Up()
		return !ok && strings.Contains(why, "another client uses our client id")
	}
	one.eventually(t, "one stands back", func() bool { return back(one) || back(two) })
	stays, waits := one, two
	if back(one) {
		stays, waits = two, one
	}
	stays.up(t)
	if n := r.trap.logins(); n > 20 {
		t.Errorf("%d logins before one stood back", n)
	}
	if !log.has("another client uses our client id") {
		t.Error("not said")
	}
	quiet := r.trap.logins()
	stays.stop()
	waits.up(t)
	if n := r.trap.logins() - quiet; n > 6 {
		t.Errorf("%d logins while one stood back", n)
	}
}

// TestHalfOpen leaves the connection open and silent.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	l := start(t, r.m, r.cfg)
	l.up(t)
	began := time.Now()
	r.link.HalfOpen()
	r.add(0)
	r.m.Until(t, "sent over the next connection", bridgetest.AllClosed)
	if d := time.Since(began); d > 25*time.Second {
		t.Errorf("found after %v", d)
	}
	tally(t, "out", 1, 1, r.p.hears(t, 1))
}
