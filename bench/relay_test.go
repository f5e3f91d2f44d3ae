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
	"text/tabwriter"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
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
// alone, a chat between two users of the XMPP server and a QoS 2 publish through the broker, and with the naive relay. With
// PROFILE set to a file's absolute path it writes the relay's CPU profile there.
func BenchmarkRelay(b *testing.B) {
	bin := build(b)
	for _, x := range stage.XMPPServers() {
		b.Run(x.Name, func(b *testing.B) {
			h := newRig(b, bin, x.Start, 0)
			for b.Loop() {
				h.measure(b)
			}
			h.relay.Stop()
		})
	}
}

// BenchmarkFarBroker is the relay's way to a broker behind a link that takes 20 ms in each direction: by default it keeps
// as many publishes open as the link needs.
func BenchmarkFarBroker(b *testing.B) {
	h := newRig(b, build(b), servers.NewProsody, 20*time.Millisecond)
	for b.Loop() {
		for range rounds {
			h.load(b, h.ours[0])
		}
	}
	h.relay.Stop()
	b.ReportMetric(median(h.ours[0].rates), "msgs/s")
	b.ReportMetric(0, "ns/op")
}

// binaries are what is measured.
type binaries struct{ relay, naive string }

func build(b *testing.B) binaries {
	b.Helper()
	dir := b.TempDir()
	command := "chatrelay/cmd/chatrelay"
	if os.Getenv("PROFILE") != "" {
		command = "chatrelay/bench/relay"
	}
	relay, err := stage.Build(dir, command)
	if err != nil {
		b.Fatal(err)
	}
	naive, err := stage.Build(dir, "chatrelay/bench/naive")
	if err != nil {
		b.Fatal(err)
	}
	return binaries{relay, naive}
}

// Topics of inboxes.
const (
	relayInbox = "/chat/"
	naiveInbox = "/naive/"
	plainTopic = "alone/"
)

// rig is servers, relays and clients.
type rig struct {
	relay *stage.Relay

	xmpp, mqtt     *path    // the servers alone
	naive, ours    [2]*path // to MQTT, to XMPP
	chat           []*clients.XMPP
	inboxes        []*clients.MQTT
	toMQTT, toXMPP heard
}

// newRig has both relays ready; the relay's way to the broker takes away in each direction.
func newRig(b *testing.B, bin binaries, start func(testing.TB, servers.XMPPConfig) *servers.XMPP, away time.Duration) *rig {
	b.Helper()
	users := map[string]string{"receiver": "pw-receiver", "naive": "pw-naive"}
	for i := range 2 * senders {
		users[name(i)] = "pw-" + name(i)
	}
	x := start(b, servers.XMPPConfig{Users: users, PlainAllowed: true, SMQueue: 100000})
	m := servers.NewMosquitto(b, servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100000, Extra: "set_tcp_nodelay true"})
	url := m.URL
	if away > 0 {
		link := proxy.New(b, m.Addr)
		link.Delay(away)
		url = "tcp://" + link.Addr()
	}
	h := &rig{toMQTT: newHeard(), toXMPP: newHeard(), relay: stage.NewRelay(b, bin.relay, map[string]string{
		"MQTT_URL": url, "XMPP_JID": x.JID("receiver"), "XMPP_PASSWORD": x.Password("receiver"), "XMPP_ADDR": x.Addr,
		"XMPP_TLS": "off",
	})}
	h.relay.Start()
	pid := startNaive(b, bin.naive, map[string]string{
		"MQTT_URL": m.URL, "PREFIX": naiveInbox, "JID": x.JID("naive"), "PASSWORD": x.Password("naive"), "XMPP_ADDR": x.Addr,
	})
	naivePid := func() int { return pid }
	h.connect(b, x, m)
	stanza := func(to func(int) string) func(context.Context, int, string) error {
		return func(_ context.Context, i int, body string) error { return h.chat[i].Send(to(i), "chat", "", body) }
	}
	publish := func(prefix string) func(context.Context, int, string) error {
		return func(ctx context.Context, i int, body string) error {
			return h.inboxes[i].Publish(ctx, prefix+name(i+senders), []byte(body), 2)
		}
	}
	h.xmpp = &path{name: "XMPP alone", send: stanza(func(i int) string { return x.JID(name(i + senders)) }), heard: h.toXMPP}
	h.mqtt = &path{name: "MQTT alone", send: publish(plainTopic), heard: h.toMQTT}
	h.naive[0] = &path{name: "XMPP to MQTT, naive", send: stanza(func(int) string { return x.JID("naive") }), heard: h.toMQTT, pid: naivePid}
	h.naive[1] = &path{name: "MQTT to XMPP, naive", send: publish(naiveInbox), heard: h.toXMPP, pid: naivePid}
	h.ours[0] = &path{name: "XMPP to MQTT", send: stanza(func(int) string { return x.JID("receiver") }), heard: h.toMQTT, pid: h.relay.Pid}
	h.ours[1] = &path{name: "MQTT to XMPP", send: publish(relayInbox), heard: h.toXMPP, pid: h.relay.Pid}
	return h
}

// connect logs senders and receivers in.
func (h *rig) connect(b *testing.B, x *servers.XMPP, m *servers.Mosquitto) {
	b.Helper()
	for i := range 2 * senders {
		mc := clients.MQTTConfig{Addr: m.Addr, ClientID: name(i), Subscribe: []string{relayInbox + name(i)}}
		xc := clients.XMPPConfig{Addr: x.Addr, Domain: x.Domain, User: name(i), Password: x.Password(name(i))}
		if i >= senders {
			mc.Subscribe = append(mc.Subscribe, naiveInbox+name(i), plainTopic+name(i))
			mc.OnMessage = func(_ string, payload []byte) { h.toMQTT.hear(string(payload)) }
			xc.OnStanza = func(s clients.Stanza) { h.toXMPP.hear(s.Body) }
		}
		inbox, err := clients.DialMQTT(b.Context(), mc)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(inbox.Close)
		chat, err := clients.DialXMPP(b.Context(), xc)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(chat.Close)
		h.inboxes, h.chat = append(h.inboxes, inbox), append(h.chat, chat)
	}
}

// paths are all of them, in the order in which they are measured.
func (h *rig) paths() []*path {
	return []*path{h.xmpp, h.mqtt, h.naive[0], h.ours[0], h.naive[1], h.ours[1]}
}

// measure runs all paths in turn, several times, and reports medians and ratios.
func (h *rig) measure(b *testing.B) {
	for range rounds {
		for _, p := range h.paths() {
			h.load(b, p)
		}
	}
	for _, p := range h.paths() {
		p.p50 = float64(p.run(b, paced, paceRate).median.Microseconds()) / 1000
	}
	h.report(b)
}

// load is one closed load.
func (h *rig) load(b *testing.B, p *path) {
	if p.pid == nil {
		p.rates = append(p.rates, p.run(b, each, 0).rate)
		return
	}
	before := cpuTicks(b, p.pid())
	p.rates = append(p.rates, p.run(b, each, 0).rate)
	h.relay.Balanced() // its notices belong to it
	p.cpu = append(p.cpu, float64(cpuTicks(b, p.pid())-before)*1e6/ticksASec/each)
}

// report writes a table of all paths, and the relay's ratios as metrics.
func (h *rig) report(b *testing.B) {
	alone := min(median(h.xmpp.rates), median(h.mqtt.rates))
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tmsgs/s\tof the slower server\tp50 ms at 200/s\trelay µs/msg\t")
	for _, p := range h.paths() {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.1f\t", p.name, median(p.rates), median(p.rates)/alone, p.p50)
		if p.pid != nil {
			fmt.Fprintf(w, "%.0f", median(p.cpu))
		}
		fmt.Fprintln(w, "\t")
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Logf("\n%s", table.String()) // 10 lines are shown
	for i, p := range h.ours {
		n := h.naive[i]
		b.ReportMetric(median(p.rates)/alone, unit(p.name, "of-the-slower-server"))
		b.ReportMetric(median(p.rates)/median(n.rates), unit(p.name, "of-naive-rate"))
		b.ReportMetric(median(p.cpu)/median(n.cpu), unit(p.name, "of-naive-CPU"))
		b.ReportMetric(p.p50/n.p50, unit(p.name, "of-naive-p50"))
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
