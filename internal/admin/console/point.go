package console

import (
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
)

// point is what the charts show of one moment. By side, those of "sides": Received and Delivered by where messages came
// from, a second; Open by where they go to.
type point struct {
	At        int64      `json:"at"` // ms since the epoch
	Received  [2]float64 `json:"received"`
	Delivered [2]float64 `json:"delivered"`
	Open      [2]int64   `json:"open"`
	// Took is how long 95 of 100 deliveries to a side took at most, over the last minute; nil: there were none.
	Took [2]*float64 `json:"took"`
}

// sides are those that charts have lines for, in their order.
func sides() []bridge.SideID { return []bridge.SideID{bridge.MQTT, bridge.XMPP} }

// counts are the sums that a point's rates are made of.
type counts struct {
	at                  time.Time
	received, delivered [2]int64
}

// look makes the next point; nil: there is none before it.
func (c *Console) look(last *counts) *counts {
	status, dead, now := c.cfg.Status(), c.cfg.Journal.DeadCount(), &counts{at: c.cfg.Clock()}
	p := point{At: now.at.UnixMilli()}
	for i, side := range sides() {
		s := status.Sides[side.String()]
		now.received[i], now.delivered[i], p.Open[i] = s.Counts[admin.Received], s.Counts[admin.Delivered], s.Open
		if last != nil {
			p.Received[i] = rate(now.received[i]-last.received[i], now.at.Sub(last.at))
			p.Delivered[i] = rate(now.delivered[i]-last.delivered[i], now.at.Sub(last.at))
		}
	}
	took, err := c.cfg.Took()
	if err != nil {
		c.cfg.Log.Debug().Err(err).Msg("how long deliveries take cannot be read")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.dead = status, dead
	p.Took = c.overLastMinute(took)
	if c.history = append(c.history, p); len(c.history) > historyLen {
		c.history = append(c.history[:0], c.history[1:]...)
	}
	c.changed.Wake()
	return now
}

func rate(n int64, in time.Duration) float64 {
	if n <= 0 || in <= 0 { // a clock that was set back
		return 0
	}
	return float64(n) / in.Seconds()
}

// minute is how many points are one.
const minute = int(time.Minute / every)

// overLastMinute is called with c.mu held.
func (c *Console) overLastMinute(now map[string][]admin.Bucket) (out [2]*float64) {
	var all [2][]admin.Bucket
	for i, side := range sides() {
		all[i] = now[side.String()]
	}
	if c.took = append(c.took, all); len(c.took) > minute+1 {
		c.took = c.took[1:]
	}
	for i := range all {
		if took, ok := within(c.took[0][i], all[i], 0.95); ok {
			out[i] = &took
		}
	}
	return out
}

// within is the time that a part of those took at most that came between two readings, as near as the buckets tell.
func within(before, now []admin.Bucket, part float64) (seconds float64, ok bool) {
	if len(now) == 0 || len(before) != len(now) {
		return 0, false
	}
	since := func(i int) float64 { return float64(now[i].Count - before[i].Count) }
	last := len(now) - 1
	rank := part * since(last)
	if rank == 0 {
		return 0, false
	}
	low, below := 0.0, 0.0
	for i := range last { // the last one has no bound
		if n := since(i); n >= rank {
			return low + (now[i].Most-low)*(rank-below)/(n-below), true
		}
		low, below = now[i].Most, since(i)
	}
	return low, true
}
