package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

const (
	rounds    = 3    // of each path, in turn; the median counts
	each      = 6000 // messages in a load
	paced     = 600  // messages at a pace
	paceRate  = 200
	ticksASec = 100 // of the kernel's CPU clock
)

// BenchmarkRelay compares the relay's two directions, at full load and at 200 messages a second, with the servers
// alone: a chat between two users of the XMPP server, and a QoS 2 publish through the broker. With PROFILE set to a
// file's absolute path it writes the relay's CPU profile there.
func BenchmarkRelay(b *testing.B) {
	dir := b.TempDir()
	command := "chatrelay/cmd/chatrelay"
	if os.Getenv("PROFILE") != "" {
		command = "chatrelay/bench/relay"
	}
	binary, err := stage.Build(dir, command)
	if err != nil {
		b.Fatal(err)
	}
	for _, x := range stage.XMPPServers() {
		b.Run(x.Name, func(b *testing.B) {
			h := newHouse(b, binary, x.Start)
			for b.Loop() {
				h.measure(b)
			}
			h.relay.Stop()
		})
	}
}

// house is servers, relay and clients.
type house struct {
	relay *stage.Relay
	paths []*path // XMPP alone, MQTT alone, XMPP to MQTT, MQTT to XMPP
}

func newHouse(b *testing.B, binary string, start func(testing.TB, servers.XMPPConfig) *servers.XMPP) *house {
	b.Helper()
	users := map[string]string{"receiver": "pw-receiver"}
	for i := range 2 * senders {
		users[name(i)] = "pw-" + name(i)
	}
	x := start(b, servers.XMPPConfig{Users: users, PlainAllowed: true, SMQueue: 100000})
	m := servers.NewMosquitto(b, servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100000, Extra: "set_tcp_nodelay true"})
	h := &house{relay: stage.NewRelay(b, binary, map[string]string{
		"MQTT_URL": m.URL, "XMPP_JID": x.JID("receiver"), "XMPP_PASSWORD": x.Password("receiver"), "XMPP_ADDR": x.Addr,
		"XMPP_TLS": "off", "MQTT_WINDOW": "100",
	})}
	h.relay.Start()
	byMQTT, byXMPP := newHeard(), newHeard()
	chat, mail := make([]*clients.XMPP, 2*senders), make([]*clients.MQTT, 2*senders)
	for i := range 2 * senders {
		cfg := clients.MQTTConfig{Addr: m.Addr, ClientID: name(i), Subscribe: []string{"/chat/" + name(i)}}
		if i >= senders {
			cfg.Subscribe = append(cfg.Subscribe, "alone/"+name(i))
			cfg.OnMessage = func(_ string, payload []byte) { byMQTT.hear(string(payload)) }
		}
		var err error
		if mail[i], err = clients.DialMQTT(b.Context(), cfg); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(mail[i].Close)
		xc := clients.XMPPConfig{Addr: x.Addr, Domain: x.Domain, User: name(i), Password: x.Password(name(i))}
		if i >= senders {
			xc.OnStanza = func(s clients.Stanza) { byXMPP.hear(s.Body) }
		}
		if chat[i], err = clients.DialXMPP(b.Context(), xc); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(chat[i].Close)
	}
	stanza := func(to func(int) string) func(context.Context, int, string) error {
		return func(_ context.Context, i int, body string) error { return chat[i].Send(to(i), "chat", "", body) }
	}
	publish := func(prefix string) func(context.Context, int, string) error {
		return func(ctx context.Context, i int, body string) error {
			return mail[i].Publish(ctx, prefix+name(i+senders), []byte(body), 2)
		}
	}
	h.paths = []*path{
		{"xmpp alone", stanza(func(i int) string { return x.JID(name(i + senders)) }), byXMPP},
		{"mqtt alone", publish("alone/"), byMQTT},
		{"xmpp to mqtt", stanza(func(int) string { return x.JID("receiver") }), byMQTT},
		{"mqtt to xmpp", publish("/chat/"), byXMPP},
	}
	return h
}

// measure runs all paths in turn, several times, and reports medians and ratios.
func (h *house) measure(b *testing.B) {
	rates, medians := make([][]float64, len(h.paths)), make([]float64, len(h.paths))
	cpu := [2][]float64{}
	for range rounds {
		for i, p := range h.paths {
			before := cpuTicks(b, h.relay.Pid())
			r := p.run(b, each, 0)
			rates[i] = append(rates[i], r.rate)
			if i >= 2 {
				h.relay.Balanced() // its notices belong to it
				cpu[i-2] = append(cpu[i-2], float64(cpuTicks(b, h.relay.Pid())-before)*1e6/ticksASec/each)
			}
		}
	}
	for i, p := range h.paths {
		medians[i] = float64(p.run(b, paced, paceRate).median.Microseconds()) / 1000
	}
	limit := min(median(rates[0]), median(rates[1]))
	for i, p := range h.paths {
		b.ReportMetric(median(rates[i]), unit(p.name, "msgs/s"))
		b.ReportMetric(medians[i], unit(p.name, "p50ms@200/s"))
		if i >= 2 {
			b.ReportMetric(median(rates[i])/limit, unit(p.name, "of-the-slower-server"))
			b.ReportMetric(median(cpu[i-2]), unit(p.name, "relay-µs/msg"))
		}
	}
	b.ReportMetric(float64(memory(b, h.relay.Pid()))/(1<<20), "relay-RSS-MiB")
	b.ReportMetric(0, "ns/op")
}

func unit(path, what string) string { return strings.ReplaceAll(path, " ", "-") + ":" + what }

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// cpuTicks is what a process has used, in kernel clock ticks.
func cpuTicks(b *testing.B, pid int) int64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	f := strings.Fields(rest)
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return user + system
}

// memory is a process's resident bytes.
func memory(b *testing.B, pid int) int64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		b.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
