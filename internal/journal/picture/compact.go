package picture

import (
	"cmp"
	"slices"

	"chatrelay/bridge"
)

// Len is about how much is kept of changes, beside what grows with the messages that were taken.
func (c *Changes) Len() int {
	return len(c.Messages) + len(c.Deliveries) + len(c.Bound) + len(c.PutOff) + len(c.Reopened) + len(c.Counts) + len(c.State) + len(c.Keys)
}

// Compact drops what later changes have made void: what is written of the rest is the same.
func (c *Changes) Compact() {
	came, gone := map[uint64]bool{}, map[uint64]bool{}
	for _, m := range c.Taken {
		came[m.ID] = true
	}
	for _, id := range c.Deleted {
		gone[id] = came[id]
	}
	c.Taken = slices.DeleteFunc(c.Taken, func(m Taken) bool { return gone[m.ID] })
	c.Cut = slices.DeleteFunc(c.Cut, func(m Body) bool { return gone[m.ID] })
	c.Deleted = slices.DeleteFunc(c.Deleted, func(id uint64) bool { return gone[id] })
	c.Messages = firsts(c.Messages, func(m ChangedMessage) *Message { return m.Message })
	c.Messages = slices.DeleteFunc(c.Messages, func(m ChangedMessage) bool { return gone[m.ID] })
	c.Inserted = slices.DeleteFunc(c.Inserted, void)
	c.Deliveries = firsts(c.Deliveries, func(d ChangedDelivery) *Delivery { return d.Delivery })
	c.Deliveries = slices.DeleteFunc(c.Deliveries, func(d ChangedDelivery) bool { return void(d.Delivery) })
	self := func(d *Delivery) *Delivery { return d }
	for _, list := range []*[]*Delivery{&c.Bound, &c.PutOff, &c.Reopened} {
		*list = slices.DeleteFunc(firsts(*list, self), void)
	}
	slices.SortFunc(c.Counts, func(a, b bridge.Counter) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Reason, b.Reason))
	})
	c.Counts = slices.Compact(c.Counts)
	slices.SortFunc(c.State, func(a, b StateKey) int { return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Key, b.Key)) })
	c.State = slices.Compact(c.State)
	c.compactKeys()
}

// void tells whether a delivery came and went.
func void(d *Delivery) bool { return d.Gone && !d.Saved }

// firsts keeps of each object the first that is said of it: it tells how it was.
func firsts[T any, K comparable](list []T, of func(T) K) []T {
	seen := make(map[K]bool, len(list))
	return slices.DeleteFunc(list, func(x T) bool {
		k := of(x)
		had := seen[k]
		seen[k] = true
		return had
	})
}

// compactKeys drops generations that came and went.
func (c *Changes) compactKeys() {
	var dropped uint64
	for _, k := range c.Keys {
		if k.Rotation != nil {
			dropped = max(dropped, k.Rotation.Dropped)
		}
	}
	c.Keys = slices.DeleteFunc(c.Keys, func(k KeyChanges) bool { return k.Generation <= dropped })
}
