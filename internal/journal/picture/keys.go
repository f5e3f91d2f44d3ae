package picture

import (
	"slices"

	"chatrelay/bridge"
	"chatrelay/message"
)

// First is the message that had a key first, and on which inbox it came in. What became of the message is looked up by
// the number: so one bit of truth serves all its keys.
type First struct {
	Msg uint64
	Via uint32
}

// first is First in a map: 12 bytes, where the compiler would make 16.
type first struct{ hi, lo, via uint32 }

func (f First) packed() first { return first{uint32(f.Msg >> 32), uint32(f.Msg), f.Via} }

func (f first) unpacked() First { return First{uint64(f.hi)<<32 | uint64(f.lo), f.via} }

// Generation is the keys of a stretch of running time. No pointers: the garbage collector skips it.
type Generation struct {
	N      uint64
	Began  int64                                  // running ms
	Ended  int64                                  // running ms of its last key
	Moved  int                                    // keys that it began with
	keys   [bridge.XMPP + 1]map[message.Key]first // by origin
	Failed map[uint64]string                      // messages that are dead or bounced, and why
}

// NewGeneration is an empty one.
func NewGeneration(n uint64, began int64) *Generation {
	g := &Generation{N: n, Began: began, Ended: began, Failed: map[uint64]string{}}
	for i := range g.keys {
		g.keys[i] = map[message.Key]first{}
	}
	return g
}

// Count is how many keys it has.
func (g *Generation) Count() int {
	n := 0
	for _, keys := range g.keys {
		n += len(keys)
	}
	return n
}

// Put puts a key into it, at a start.
func (g *Generation) Put(k SeenKey) { g.keys[k.Origin][k.Key] = k.First.packed() }

// SeenKey is one key that is known.
type SeenKey struct {
	Key    message.Key
	Origin bridge.SideID
	First  First
}

// Failure is a message that is dead or bounced, and why.
type Failure struct {
	Msg    uint64
	Reason string
}

// Keys is the dedup index: what is known, youngest generation last.
type Keys struct {
	Generations []*Generation
	All         int // keys
}

// NewKeys is an index that knows nothing.
func NewKeys() Keys { return Keys{Generations: []*Generation{NewGeneration(1, 0)}} }

// Current is the youngest generation.
func (k *Keys) Current() *Generation { return k.Generations[len(k.Generations)-1] }

// Find looks a key up.
func (k *Keys) Find(origin bridge.SideID, key message.Key) (First, bool) {
	if int(origin) >= len(k.Generations[0].keys) {
		return First{}, false
	}
	for _, g := range slices.Backward(k.Generations) {
		if f, ok := g.keys[origin][key]; ok {
			return f.unpacked(), true
		}
	}
	return First{}, false
}

// Knows tells whether any key of a message is known. It looks at all keys.
func (k *Keys) Knows(msg uint64) bool {
	for _, g := range k.Generations {
		for _, keys := range g.keys {
			for _, f := range keys {
				if f.unpacked().Msg == msg {
					return true
				}
			}
		}
	}
	return false
}

// Failure tells the reason with which a message failed.
func (k *Keys) Failure(msg uint64) (string, bool) {
	for _, g := range slices.Backward(k.Generations) {
		if text, ok := g.Failed[msg]; ok {
			return text, true
		}
	}
	return "", false
}

// Recount counts the keys.
func (k *Keys) Recount() {
	k.All = 0
	for _, g := range k.Generations {
		k.All += g.Count()
	}
}

// learn adds those keys that are not known.
func (p *Picture) learn(origin bridge.SideID, keys []message.Key, f First) {
	g := p.Keys.Current()
	for _, key := range keys {
		if _, known := p.Keys.Find(origin, key); known {
			continue
		}
		g.keys[origin][key] = f.packed()
		p.Keys.All++
		g.Ended = p.Head.Ran
		k := p.changes.keys(g)
		k.Added, k.Ended = append(k.Added, SeenKey{key, origin, f}), p.Head.Ran
	}
}

// markFailed makes retries of a message answered with failed. There is one failure a message: the youngest.
func (p *Picture) markFailed(msg uint64, reason string) {
	for _, g := range p.Keys.Generations {
		delete(g.Failed, msg)
	}
	g := p.Keys.Current()
	reason = intern(reason) // mostly the same for many
	g.Failed[msg] = reason
	k := p.changes.keys(g)
	k.Failed = append(k.Failed, Failure{msg, reason})
}

// unmarkFailed takes that back.
func (p *Picture) unmarkFailed(msg uint64) {
	for _, g := range p.Keys.Generations {
		delete(g.Failed, msg)
	}
	p.changes.keys(p.Keys.Current()).unfail(msg)
}

// Rotation is a new generation of keys.
type Rotation struct {
	Dropped uint64 // number of the last generation that went; 0: none did
	Carried []SeenKey
	Failed  []Failure
	Early   int // keys that were forgotten before their time
}

// Rotated: keys of messages with an open delivery move into the new generation.
func (f *Rotated) apply(p *Picture) {
	k := &p.Keys
	n := min(f.Drop, len(k.Generations))
	old, rotation := k.Generations[:n], &Rotation{}
	for i, g := range old {
		rotation.Dropped = g.N
		rotation.collectOpen(g, p.Messages, i < f.Aged)
	}
	fresh := NewGeneration(k.Current().N+1, p.Head.Ran)
	fresh.Moved = len(rotation.Carried)
	for _, key := range rotation.Carried {
		fresh.Put(key)
	}
	for _, x := range rotation.Failed {
		fresh.Failed[x.Msg] = x.Reason
	}
	k.Generations = append(slices.Clone(k.Generations[n:]), fresh)
	k.Recount()
	p.count(bridge.Counter{Name: Evicted}, int64(rotation.Early))
	p.changes.keys(fresh).Rotation = rotation
}

// collectOpen finds the keys of a generation whose messages have a delivery open, and what is known of those.
func (t *Rotation) collectOpen(g *Generation, messages map[uint64]*Message, aged bool) {
	had := len(t.Carried)
	for origin, keys := range g.keys {
		for key, f := range keys {
			if messages[f.unpacked().Msg].HasOpen() {
				t.Carried = append(t.Carried, SeenKey{key, bridge.SideID(origin), f.unpacked()})
			}
		}
	}
	for msg, reason := range g.Failed {
		if messages[msg].HasOpen() {
			t.Failed = append(t.Failed, Failure{msg, reason})
		}
	}
	if !aged {
		t.Early += g.Count() - (len(t.Carried) - had)
	}
}
