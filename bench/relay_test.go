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
// PROFILE set to a file's absolute path it writes the relay's CPU profile there; with BEFORE set to that of another build's
// chatrelay, that one is measured in the same run, too.
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
type binaries struct {
	relay, naive string
	before       string // of another build; empty: none
}

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
	return binaries{relay: relay, naive: naive, before: os.Getenv("BEFORE")}
}

// Topics of inboxes.
const (
	relayInbox  = "/chat/"
	naiveInbox  = "/naive/"
	beforeInbox = "/before/"
	plainTopic  = "alone/"
)

// rig is servers, relays and clients.
type rig struct {
	relay, before *stage.Relay // before: of another build, or nil

	xmpp, mqtt     *path    // the servers alone
	naive, ours    [2]*path // to MQTT, to XMPP
	theirs         []*path  // the same of the other build, where there is one
	chat           []*clients.XMPP
	inboxes        []*clients.MQTT
	toMQTT, toXMPP heard
}

// newRig has both relays ready; the relay's way to the broker takes away in each direction.
func newRig(b *testing.B, bin binaries, start func(testing.TB, servers.XMPPConfig) *servers.XMPP, away time.Duration) *rig {
	b.Helper()
	users := map[string]string{"receiver": "pw-receiver", "naive": "pw-naive", "before": "pw-before"}
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
	newRelay := func(binary, account, prefix string) *stage.Relay {
		return stage.NewRelay(b, binary, map[string]string{
			"MQTT_URL": url, "MQTT_CLIENT_ID": "bench-" + account, "TOPIC_PREFIX": strings.TrimSuffix(prefix, "/"),
			"XMPP_JID": x.JID(account), "XMPP_PASSWORD": x.Password(account), "XMPP_ADDR": x.Addr, "XMPP_TLS": "off",
			"LOG_FORMAT": "console", // how another build writes JSON is none of ours to judge
		})
	}
	h := &rig{toMQTT: newHeard(), toXMPP: newHeard(), relay: newRelay(bin.relay, "receiver", relayInbox)}
	h.relay.Start()
	if bin.before != "" {
		h.before = newRelay(bin.before, "before", beforeInbox)
		h.before.Start()
	}
	pid := startNaive(b, bin.naive, map[string]string{
		"MQTT_URL": m.URL, "PREFIX": naiveInbox, "JID": x.JID("naive"), "PASSWORD": x.Password("naive"), "XMPP_ADDR": x.Addr,
	})
	h.connect(b, x, m)
	stanza := func(to func(int) string) func(context.Context, int, string) error {
		return func(_ context.Context, i int, body string) error { return h.chat[i].Send(to(i), "chat", "", body) }
	}
	publish := func(prefix string) func(context.Context, int, string) error {
		return func(ctx context.Context, i int, body string) error {
			return h.inboxes[i].Publish(ctx, prefix+name(i+senders), []byte(body), 2)
		}
	}
	both := func(suffix, account, prefix string, pid func() int) [2]*path {
		return [2]*path{
			{name: "XMPP to MQTT" + suffix, send: stanza(func(int) string { return x.JID(account) }), heard: h.toMQTT, pid: pid},
			{name: "MQTT to XMPP" + suffix, send: publish(prefix), heard: h.toXMPP, pid: pid},
		}
	}
	h.xmpp = &path{name: "XMPP alone", send: stanza(func(i int) string { return x.JID(name(i + senders)) }), heard: h.toXMPP}
	h.mqtt = &path{name: "MQTT alone", send: publish(plainTopic), heard: h.toMQTT}
	h.naive = both(", naive", "naive", naiveInbox, func() int { return pid })
	h.ours = both("", "receiver", relayInbox, h.relay.Pid)
	if h.before != nil {
		theirs := both(", before", "before", beforeInbox, h.before.Pid)
		h.theirs = theirs[:]
	}
	return h
}

// connect logs senders and receivers in.
func (h *rig) connect(b *testing.B, x *servers.XMPP, m *servers.Mosquitto) {
	b.Helper()
	for i := range 2 * senders {
		mc := clients.MQTTConfig{Addr: m.Addr, ClientID: name(i), Subscribe: []string{relayInbox + name(i), beforeInbox + name(i)}}
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
	all := []*path{h.xmpp, h.mqtt}
	for i, p := range h.ours {
		all = append(all, h.naive[i], p)
		if h.theirs != nil {
			all = append(all, h.theirs[i])
		}
	}
	return all
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
	if h.before != nil {
		settle(b, h.before.Pid()) // so do that one's, whose status may be another
	}
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
	for i, p := range h.theirs {
		b.ReportMetric(median(h.ours[i].rates)/median(p.rates), unit(h.ours[i].name, "of-rate-before"))
		b.ReportMetric(median(h.ours[i].cpu)/median(p.cpu), unit(h.ours[i].name, "of-CPU-before"))
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

// settle waits until a process has used no CPU for a while, at most 5 s.
func settle(b *testing.B, pid int) {
	b.Helper()
	for range 25 {
		used := cpuTicks(b, pid)
		time.Sleep(200 * time.Millisecond)
		if cpuTicks(b, pid)-used <= 1 {
			return
		}
	}
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
