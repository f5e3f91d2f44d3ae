package admin

import (
	"fmt"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"chatrelay/bridge"
)

// What is measured, by the name of its histogram.
const (
	CommitSeconds   = "commit_seconds"
	QueueSeconds    = "queue_seconds"
	DeliverySeconds = "delivery_seconds"
)

// histogram declares one. All have the label direction.
type histogram struct{ name, help string }

// direction is that of the messages which go to a side.
func direction(to bridge.SideID) string {
	if to == bridge.XMPP {
		return "mqtt_to_xmpp"
	}
	return "xmpp_to_mqtt"
}

// histograms are all of them.
func histograms() []histogram {
	return []histogram{
		{CommitSeconds, "From when messages were given to the journal until they were on disk."},
		{QueueSeconds, "From when a message was taken until it went out to a destination. A second try counts again."},
		{DeliverySeconds, "From when a message was taken until the far server had taken responsibility for it."},
	}
}

// Timings are how long things take, since the process started.
type Timings struct {
	vecs map[string]*prometheus.HistogramVec
	all  *prometheus.Registry // to read them by
}

// NewTimings has every histogram from the start, so that a rate can be taken of them.
func NewTimings() *Timings {
	t := &Timings{vecs: map[string]*prometheus.HistogramVec{}, all: prometheus.NewRegistry()}
	for _, h := range histograms() {
		t.vecs[h.name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "chatrelay_" + h.name, Help: h.help,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400},
		}, []string{"direction"})
		for _, to := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
			t.vecs[h.name].WithLabelValues(direction(to))
		}
		t.all.MustRegister(t.vecs[h.name]) // they differ by name
	}
	return t
}

// Observe adds one measurement of messages that go to a side; name is one of the constants. It may be called from any goroutine.
func (t *Timings) Observe(name string, to bridge.SideID, seconds float64) {
	t.vecs[name].WithLabelValues(direction(to)).Observe(seconds)
}

// Bucket says how many measurements were at most so large.
type Bucket struct {
	Most  float64 // seconds
	Count uint64
}

// Buckets are those of one histogram by the side that messages go to, the smallest first, since the process started.
func (t *Timings) Buckets(name string) (map[string][]Bucket, error) {
	families, err := t.all.Gather()
	if err != nil {
		return nil, fmt.Errorf("admin: timings: %w", err)
	}
	out := map[string][]Bucket{}
	for _, f := range families {
		if f.GetName() != "chatrelay_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			h := m.GetHistogram()
			var all []Bucket
			for _, b := range h.GetBucket() {
				all = append(all, Bucket{b.GetUpperBound(), b.GetCumulativeCount()})
			}
			all = append(all, Bucket{math.Inf(1), h.GetSampleCount()})
			for _, to := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
				if direction(to) == m.GetLabel()[0].GetValue() {
					out[to.String()] = all
				}
			}
		}
	}
	return out, nil
}
