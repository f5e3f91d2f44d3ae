package admin

import (
	"fmt"
	"maps"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"chatrelay/bridge"
)

// metric declares one. Labels have few, fixed values: never a user or a topic. The rooms are those of the configuration.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// table is every metric of ours. Those that end in _total and have a side are kept in the journal, over restarts.
func table() []metric {
	side, why := []string{"side"}, []string{"side", "reason"}
	return []metric{
		{"received_total", "Messages as offered by the side they came from.", counter, side},
		{"delivered_total", "Of those: the far server has taken responsibility for every copy.", counter, side},
		{"duplicate_total", "Of those: known already, not sent again.", counter, side},
		{"ignored_total", "Of those: no message for the relay.", counter, why},
		{"refused_total", "Of those: refused when they were offered, not delivered.", counter, why},
		{"dead_total", "Of those: taken, but not delivered to everyone; see /dead. What is requeued is taken out again, so use delta, not rate.", counter, why},
		{"bounced_total", "Given back by the far side after it had taken them.", counter, why},
		{"maybe_duplicate_total", "Sent again although the side may have had them.", counter, side},
		{"unconfirmed_total", "Settled, and then bounced by the relay itself, as nothing proves that the side took them.", counter, side},
		{"events_total", "Further counts of the journal, by name.", counter, []string{"side", "name"}},
		{"offered_total", "Offers since the process started, counted apart from the journal.", counter, side},
		{"pending", "Messages taken and not yet settled, by the side they came from.", gauge, side},
		{"open_deliveries", "Deliveries that are not settled, by the side they go to.", gauge, side},
		{"in_flight", "Deliveries that are on the wire to this side and not confirmed, those of notices and other answers too.", gauge, side},
		{"window", "Deliveries that may be on the wire to this side at once, as its server keeps up with them; some notices go beside it. 0: the side is not ready.", gauge, side},
		{"oldest_pending_seconds", "How long the oldest pending message has waited.", gauge, nil},
		{"side_up", "1: the side is logged in and ready.", gauge, side},
		{"connections_lost_total", "Connections to this side that ended while they were in use, since the process started.", counter, why},
		{"room_up", "1: the relay is in this served room.", gauge, []string{"room"}},
		{"room_refused_total", "Messages refused in the room whose speakers cannot be told, since the process started.", counter, []string{"room"}},
		{"ready", "1: as /readyz.", gauge, nil},
		{"known_keys", "Messages that would be known again.", gauge, nil},
		{"store_bytes", "Bytes of the journal in use.", gauge, nil},
		{"store_limit_bytes", "CHATRELAY_STORE_MAX_BYTES.", gauge, nil},
		{"store_pending", "Deliveries that wait, those of notices and other answers too.", gauge, nil},
		{"store_pending_limit", "CHATRELAY_STORE_MAX_PENDING, or what was made of the memory limit; 0: none.", gauge, nil},
		{"store_full", "1: nothing is taken until messages have gone out.", gauge, nil},
		{"store_write_error", "1: the journal cannot be written.", gauge, nil},
		{"certificate_expiry_timestamp_seconds", "Until when the certificate is good: mqtt_broker and xmpp_server as last shown to the relay, mqtt_client is its own.", gauge, []string{"certificate"}},
		{"build_info", "1, with what is running.", gauge, []string{"version", "go"}},
	}
}

// registry is our own: nothing that a library registers by itself gets in.
func (s *Server) registry() (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	all := []prometheus.Collector{newCollector(s), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
	for _, h := range histograms() {
		all = append(all, s.cfg.Timings.vecs[h.name])
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("admin: metrics: %w", err)
		}
	}
	return r, nil
}

// collector reads the account anew at each scrape. It keeps nothing, so scrapes may overlap.
type collector struct {
	server *Server
	kinds  map[string]prometheus.ValueType
	descs  map[string]*prometheus.Desc
}

func newCollector(s *Server) *collector {
	c := &collector{server: s, kinds: map[string]prometheus.ValueType{}, descs: map[string]*prometheus.Desc{}}
	for _, m := range table() {
		c.kinds[m.name] = m.kind
		c.descs[m.name] = prometheus.NewDesc("chatrelay_"+m.name, m.help, m.labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	put := func(name string, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[name], c.kinds[name], value, labels...)
	}
	cfg, a := &c.server.cfg, c.server.cfg.Balance.Totals()
	for key, n := range tallies(a) {
		put(key.metric, float64(n), key.labels()...)
	}
	for _, side := range cfg.Sides {
		id, name := side.ID(), side.ID().String()
		up, _ := side.Up()
		put("side_up", number(up), name)
		put("offered_total", float64(cfg.Offers.Offered(id)), name)
		put("pending", float64(a.Pending[id]), name)
		put("open_deliveries", float64(a.Open[id]), name)
		put("in_flight", float64(cfg.InFlight(id)), name)
		put("window", float64(cfg.Window(id)), name)
	}
	for loss, n := range c.server.losses() {
		put("connections_lost_total", float64(n), loss.Side.String(), word(loss.Reason))
	}
	for _, r := range c.server.rooms() {
		put("room_up", number(r.Up), r.Room)
		put("room_refused_total", float64(r.Unheard), r.Room)
	}
	for name, end := range cfg.Certificates() {
		put("certificate_expiry_timestamp_seconds", float64(end.Unix()), name)
	}
	put("oldest_pending_seconds", a.Oldest.Seconds())
	put("ready", number(c.server.ready(a).OK))
	put("known_keys", float64(a.Keys))
	put("store_bytes", float64(a.Bytes))
	put("store_limit_bytes", float64(a.Limit))
	put("store_pending", float64(a.Deliveries))
	put("store_pending_limit", float64(a.MaxDeliveries))
	put("store_full", number(a.Full))
	put("store_write_error", number(a.WriteErr != ""))
	put("build_info", 1, cfg.Version, runtime.Version())
}

// losses has each side from the start, so that a rate can be taken of the first one, too.
func (s *Server) losses() map[Loss]int64 {
	out := map[Loss]int64{}
	if s.cfg.Losses != nil {
		maps.Copy(out, s.cfg.Losses())
	}
	for _, side := range s.cfg.Sides {
		for _, reason := range []string{"closed", "reset", "silent"} {
			out[Loss{side.ID(), reason}] += 0
		}
	}
	return out
}

type tally struct{ metric, side, second string }

func (t tally) labels() []string {
	switch t.metric {
	case "ignored_total", "refused_total", "dead_total", "bounced_total", "events_total":
		return []string{t.side, t.second}
	}
	return []string{t.side}
}

// tallies gives each count of the journal its metric. Counts that fall together are added: a metric given twice
// would spoil the whole page. The plain ones are there from the start, so that a rate can be taken of them.
func tallies(a bridge.Totals) map[tally]int64 {
	out := map[tally]int64{}
	for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		for _, name := range []string{Received, Delivered, duplicate, bridge.MaybeDuplicate, bridge.Unconfirmed} {
			out[tally{name + "_total", side.String(), ""}] = 0
		}
	}
	for c, n := range a.Counts {
		t := tally{c.Name + "_total", c.Side.String(), ""}
		switch c.Name {
		case Received, Delivered, duplicate, bridge.MaybeDuplicate, bridge.Unconfirmed:
		case ignored, refused, dead, bounced:
			t.second = word(c.Reason)
		default:
			t.metric, t.second = "events_total", word(c.Name)
		}
		out[t] += n
	}
	return out
}

const longestWord = 48

// word keeps labels to fixed words of ours, whatever a server may have put into a reason.
func word(text string) string {
	odd := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if text == "" || len(text) > longestWord || strings.ContainsFunc(text, odd) {
		return "other"
	}
	return text
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
