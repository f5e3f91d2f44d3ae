package journal

import (
	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// A key lives for the window and at most a quarter longer, so that forgetting is dropping a map.
const (
	perWindow = 4
	perMax    = 8 // a generation is also closed when it has this part of the keys that may be kept
)

// keyLimits are what is decided by when a generation of keys begins, and which go.
type keyLimits struct {
	max  int
	span int64 // ms a generation lasts
}

func (o *Options) keyLimits() keyLimits {
	return keyLimits{o.DedupMaxKeys, max(1, o.DedupWindow.Milliseconds()/perWindow)}
}

// genCap is how many keys close a generation.
func (l keyLimits) genCap() int { return max(1, l.max/perMax) }

// due tells whether the youngest generation is to be closed, or the oldest has outlived the window.
func (l keyLimits) due(k *picture.Keys, ran int64) bool {
	g := k.Current()
	n := g.Count()
	if n-g.Moved >= l.genCap() || n > 0 && ran-g.Began >= l.span {
		return true
	}
	for _, g := range k.Generations {
		if g.Count() > 0 {
			return l.old(g, ran)
		}
	}
	return false
}

func (l keyLimits) old(g *picture.Generation, ran int64) bool { return ran-g.Ended >= l.span*perWindow }

// expired is how many of the oldest generations go when a new one begins: first those, aged, whose last key is
// older than the window, then as many more as the limit asks for. Pinned keys would only come back: they do not
// count against the limit, or a journal full of pending messages would move all their keys with each commit.
func (l keyLimits) expired(k *picture.Keys, ran, pinned int64) (n, aged int) {
	left := int64(k.All) - pinned
	for n < len(k.Generations) && l.old(k.Generations[n], ran) {
		left -= int64(k.Generations[n].Count())
		n++
	}
	aged = n
	for n < len(k.Generations) && left+int64(l.genCap()) > int64(l.max) {
		left -= int64(k.Generations[n].Count())
		n++
	}
	return n, aged
}

// rotate begins a new generation of keys when it is time, and forgets what is older than the window (in
// running time: a relay that was off for two days still knows its echoes) or more than may be kept. Keys of
// messages with an open delivery move into the new generation. It is a frame of its own.
func (j *Journal) rotate() error {
	j.mu.Lock()
	limits, ran := j.opt.keyLimits(), j.ran()
	if !limits.due(&j.pic.Keys, ran) {
		j.mu.Unlock()
		return nil
	}
	d := j.newDecision()
	n, aged := limits.expired(&j.pic.Keys, ran, j.pic.Pinned)
	d.add(&picture.Rotated{Drop: n, Aged: aged})
	before := j.pic.Counts[bridge.Counter{Name: evicted}]
	j.mu.Unlock()
	if err := j.write(d); err != nil {
		return err
	}
	return j.apply(d, func() {
		if early := j.pic.Counts[bridge.Counter{Name: evicted}] - before; early > 0 {
			j.logLines.later(j.log.Warn().Int64("keys", early).Int("limit", j.opt.DedupMaxKeys),
				"more keys than may be kept: the oldest are forgotten before their time")
		}
	})
}
