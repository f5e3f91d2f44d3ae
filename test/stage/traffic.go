package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Traffic sends loads over one stage. Every ordered pair of people is a lane in each direction.
type Traffic struct {
	S *Stage
	O *Oracle

	lanes    []*lane
	canaries []*lane // a few messages in lanes of their own: no backlog of the load stands before them
}

// lane is one sender's messages to one landline over one side.
type lane struct {
	side Origin
	from *Person
	to   string
	n    int // messages sent so far

	canary bool
}

// NewTraffic makes the lanes; it sends nothing yet.
func NewTraffic(s *Stage, o *Oracle) *Traffic {
	f := &Traffic{S: s, O: o}
	for _, from := range s.People {
		for _, to := range s.People {
			if from == to {
				continue
			}
			for _, side := range []Origin{FromMQTT, FromXMPP} {
				f.lanes = append(f.lanes, &lane{side: side, from: from, to: to.Name})
			}
		}
	}
	me := s.People[0]
	for _, side := range []Origin{FromMQTT, FromXMPP} {
		f.canaries = append(f.canaries, &lane{side: side, from: me, to: me.Name, canary: true})
	}
	return f
}

// Send sends n messages each way, all lanes at once, as fast as they go.
func (f *Traffic) Send(ctx context.Context, n int) error {
	half := len(f.lanes) / 2
	each := (n + half - 1) / half
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range f.lanes {
		g.Go(func() error {
			for range each {
				if err := f.next(ctx, l); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// Pace sends rate messages a second each way until stop is closed, then waits until the last ones are
// acknowledged. A lane waits for the acknowledgement of one before the next; while all wait, less is sent.
func (f *Traffic) Pace(ctx context.Context, rate int, stop <-chan struct{}) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range f.canaries {
		g.Go(func() error { return f.sing(ctx, l, stop) })
	}
	for _, side := range []Origin{FromMQTT, FromXMPP} {
		turns := make(chan struct{}) // unbuffered: a turn is for a lane that is free now
		g.Go(func() error { defer close(turns); deal(ctx, rate, turns, stop); return nil })
		for _, l := range f.lanes {
			if l.side != side {
				continue
			}
			g.Go(func() error {
				for range turns {
					if err := f.next(ctx, l); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return g.Wait()
}

// sing sends a canary every now and then.
func (f *Traffic) sing(ctx context.Context, l *lane, stop <-chan struct{}) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return nil
		case <-ctx.Done():
			return nil
		}
		if err := f.next(ctx, l); err != nil {
			return err
		}
	}
}

// deal gives turns at a rate to whoever is free.
func deal(ctx context.Context, rate int, turns chan<- struct{}, stop <-chan struct{}) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	begun, given := time.Now(), 0
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
		owed := int(time.Since(begun).Seconds() * float64(rate))
		for given < owed {
			select {
			case turns <- struct{}{}:
				given++
				continue
			default:
			}
			break
		}
		if given < owed-rate/10 { // nobody was free for long: no burst afterwards
			given = owed - rate/10
		}
	}
}

func (f *Traffic) next(ctx context.Context, l *lane) error {
	l.n++
	it, err := f.O.Next(ctx, l.side, l.from.Name, l.to, l.n)
	if err == nil {
		it.canary = l.canary
		err = f.Put(ctx, it)
	}
	if err != nil {
		return fmt.Errorf("%s>%s over %s stuck at message %d: %w", l.from.Name, l.to, l.side, l.n, err)
	}
	return nil
}

// Put gives a message to its network and returns when that has taken it: a broker with PUBCOMP, an XMPP server
// with XEP-0198 where the sender has it, else by being written to.
func (f *Traffic) Put(ctx context.Context, it *Item) error {
	from := f.S.Person(it.From)
	var err error
	switch {
	case it.Origin == FromMQTT:
		err = from.M.Publish(ctx, Inbox(it.To), []byte(it.Body), 2)
	case from.Sender != nil:
		err = f.deliver(ctx, from, it)
	default:
		err = f.write(ctx, from, it)
	}
	if err == nil {
		f.O.Acked(it)
	}
	return err
}

func (f *Traffic) deliver(ctx context.Context, from *Person, it *Item) error {
	taken := make(chan struct{})
	from.Sender.Deliver(f.S.Receiver(), "chat", it.id, it.Body, func() { close(taken) })
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Traffic) write(ctx context.Context, from *Person, it *Item) error {
	for {
		err := from.X.Send(f.S.Receiver(), "chat", "", it.Body)
		if err == nil {
			return nil
		}
		if err := from.X.Ready(ctx); err != nil {
			return err
		}
	}
}

// Flush sends one more message through every lane, so that whatever was to come twice has come.
func (f *Traffic) Flush(ctx context.Context) error {
	return errors.Join(f.Send(ctx, 1), f.O.Settle(ctx))
}

// ReadArchives lets the oracle hear all archives.
func (f *Traffic) ReadArchives(ctx context.Context) error {
	for _, p := range f.S.People {
		all, err := f.S.Archive(ctx, p.Name)
		if err != nil {
			return err
		}
		f.O.HearArchive(p.Name, f.S.Receiver(), all)
	}
	return nil
}

// Kept tells under which ids the relay's own account has messages in its archive: those that are lost and in it
// were the relay's to find.
func (f *Traffic) Kept(ctx context.Context) (map[string][]string, error) {
	all, err := f.S.Archive(ctx, "receiver")
	kept := map[string][]string{}
	for _, s := range all {
		var e Envelope
		if json.Unmarshal([]byte(s.Body), &e) == nil {
			kept[e.Content] = append(kept[e.Content], s.Archived)
		}
	}
	return kept, err
}

// Repeated is how many stanzas the senders sent again because a connection ended before their acknowledgement.
func (f *Traffic) Repeated() int {
	n := 0
	for _, p := range f.S.People {
		if p.Sender != nil {
			n += p.Sender.Repeated()
		}
	}
	return n
}

// Nag sends again what has not arrived, as people do, until ctx ends. A message written into a connection
// that was dying is nobody's.
func (f *Traffic) Nag(ctx context.Context) error {
	tick := time.NewTicker(4 * time.Second)
	defer tick.Stop()
	unsettled := map[*Item]bool{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for _, it := range f.O.unsettled(unsettled) {
			if err := f.Put(ctx, it); err != nil {
				return nil // ctx ended
			}
		}
	}
}

// stuck returns the stanzas that were without a notice at the last call too, marked as sent again, and leaves
// those of now in seen.
func (o *Oracle) unsettled(seen map[*Item]bool) []*Item {
	o.mu.Lock()
	defer o.mu.Unlock()
	var old []*Item
	now := map[*Item]bool{}
	for _, it := range o.items {
		if it.Origin != FromXMPP || it.notices["sent"] > 0 {
			continue
		}
		if seen[it] {
			it.Again = true
			old = append(old, it)
		}
		now[it] = true
	}
	clear(seen)
	for it := range now {
		seen[it] = true
	}
	return old
}
