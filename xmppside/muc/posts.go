package muc

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

const (
	mostPosts = 200 // of one room without a reflection: others than this room do not wait for it

	slowFor   = time.Hour // one post at a time after a bounce of type wait
	waitDelay = 250 * time.Millisecond
	waitCap   = time.Minute

	lookPause    = 200 * time.Millisecond // for what a room must have done before the next post may go
	downPause    = time.Second
	longestPause = 2 * time.Second

	lookGap     = 10 * time.Millisecond // between two lanes that look again at one room
	longestLook = 15 * time.Second      // beyond it the many lanes come more often

	giveUpAfter = 24 * time.Hour // a room that says nothing
)

// Posts are the room posts on their way. A post is sent when its room has reflected it to us (XEP-0045 §7.4): what our
// server acknowledges, the room may still refuse or lose. Until then the delivery stays bound.
//
// Its methods only enqueue, and never call the Stream: some are called under its lock.
type Posts struct {
	cfg   *Config
	rooms *Rooms
	seed  maphash.Seed

	mu     sync.Mutex            // guards all below
	byRoom map[string]*roomPosts // none ever goes
}

// roomPosts are those of one room.
type roomPosts struct {
	jid  string
	open []*post // in the order in which they left

	slow      time.Time    // until then one at a time
	heldUntil time.Time    // nothing goes before
	waits     wait.Backoff // of bounces of type wait
	turned    int          // how many were told to wait for their turn since the last reflection
	heard     time.Time    // the last reflection
	looks     time.Time    // when the last of the lanes that wait looks again

	left     bool      // the room is left: nothing goes to it
	recounts time.Time // until then it may still be telling its history
	untold   bool      // that is not asked for: a message in it is too large to be read

	asking bool         // a self-ping is under way
	silent bool         // it was not answered
	next   time.Time    // the next one is not due before
	pings  wait.Backoff // of those that were not answered
}

// stage is how far a post got.
type stage uint8

const (
	stageLeaving  stage = iota // not on the stream yet
	stageSent                  // on the stream
	stageAcked                 // our server has it
	stageSearched              // its stream, or our seat in the room, was lost: does the room have it?
)

// post is one of them.
type post struct {
	tag    *Post // of the stanza that carries it now
	stage  stage
	ticket uint64    // of its binding
	at     time.Time // when it left first
	since  time.Time // when this process first had it
	acked  time.Time
	maybe  bool // sought, and the room may have it
	behind bool // one before it, of the same sender, has to be sent again

	refused *bridge.Refusal // the room may not have known us; nil: it said nothing of the kind
}

func newPosts(rs *Rooms) *Posts {
	p := &Posts{cfg: &rs.cfg, rooms: rs, seed: maphash.MakeSeed(), byRoom: make(map[string]*roomPosts, len(rs.cfg.Rooms))}
	for _, j := range rs.cfg.Rooms {
		p.byRoom[j] = &roomPosts{jid: j}
	}
	return p
}

// laterError says that a delivery cannot go now and when to try again. See bridge.Side.
type laterError struct {
	text string
	in   time.Duration
}

func (e *laterError) Error() string          { return "xmpp: " + e.text }
func (e *laterError) RetryIn() time.Duration { return e.in }

// Reserve gives a post its place, or says when to ask again.
func (p *Posts) Reserve(l *Post) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, now := p.byRoom[l.To], time.Now()
	r.open = slices.DeleteFunc(r.open, func(x *post) bool { return x.tag.Ref == l.Ref }) // its commit failed, and it comes again
	if why := r.closed(now, l); why != nil {
		why.in = r.takeTurn(now, why.in)
		return why
	}
	r.open = append(r.open, &post{tag: l, at: now, since: now})
	return nil
}

// closed says why a post may not leave now.
func (r *roomPosts) closed(now time.Time, l *Post) *laterError {
	switch {
	case r.left:
		return &laterError{"room " + r.jid + " is no longer served", lookPause}
	case slices.ContainsFunc(r.open, func(x *post) bool { return x.stage == stageSearched }):
		return &laterError{"room " + r.jid + " is asked for what it has of us", lookPause}
	case slices.ContainsFunc(r.open, func(x *post) bool { return x.refused != nil }):
		return &laterError{"room " + r.jid + " may not know us any more", lookPause}
	case r.silent:
		return &laterError{"room " + r.jid + " does not answer", downPause}
	case now.Before(r.heldUntil):
		return &laterError{"room " + r.jid + " takes no more for now", r.heldUntil.Sub(now)}
	case now.Before(r.slow) && len(r.open) > 0:
		r.turned++
		return &laterError{"room " + r.jid + " gets one post at a time", min(lookPause/4*time.Duration(r.turned), longestPause)}
	case slices.ContainsFunc(r.open, func(x *post) bool { return x.tag.From == l.From && x.tag.As != l.As }): // ejabberd may hold one occupant back
		return &laterError{"room " + r.jid + " has not reflected what another occupant said for the sender", lookPause / 4}
	case len(r.open) >= mostPosts:
		return &laterError{"room " + r.jid + " has not reflected what it was sent", lookPause}
	}
	return nil
}

// takeTurn is when a lane looks again: as soon as it wants to, but however many lanes a room has, few look at once.
func (r *roomPosts) takeTurn(now time.Time, wanted time.Duration) time.Duration {
	at := now.Add(wanted)
	if next := r.looks.Add(lookGap); next.After(at) {
		at = next
	}
	if latest := now.Add(max(wanted, longestLook)); at.After(latest) {
		at = latest
	}
	r.looks = at
	return at.Sub(now)
}

// Withdraw takes back the place of a post that did not get onto the stream.
func (p *Posts) Withdraw(l *Post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, i := p.find(l); i >= 0 && r.open[i].stage == stageLeaving {
		r.remove(i)
	}
}

// Bound notes that a post is on the stream.
func (p *Posts) Bound(l *Post, ticket uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, i := p.find(l); i >= 0 && r.open[i].stage <= stageSent {
		r.open[i].stage, r.open[i].ticket = stageSent, ticket
	}
}

// Acked notes that our server has a post.
func (p *Posts) Acked(l *Post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, i := p.find(l); i >= 0 && r.open[i].stage <= stageSent {
		r.open[i].stage, r.open[i].acked = stageAcked, time.Now()
	}
}

// Forget is for a post that was closed otherwise.
func (p *Posts) Forget(l *Post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, i := p.find(l); i >= 0 {
		r.remove(i)
	}
}

// find looks for the post that a stanza of ours carries. A stanza may be late: its post was reflected, or left again as
// another. p.mu is held.
func (p *Posts) find(l *Post) (*roomPosts, int) {
	r := p.byRoom[l.To]
	if r == nil {
		return nil, -1
	}
	return r, slices.IndexFunc(r.open, func(x *post) bool { return x.tag == l })
}

func (r *roomPosts) remove(i int) { r.open = slices.Delete(r.open, i, i+1) }

// ByID is the open post whose stanza has that id; nil: there is none.
func (p *Posts) ByID(id string) *Post {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.byRoom {
		for _, x := range r.open {
			if id != "" && x.tag.ID == id {
				return x.tag
			}
		}
	}
	return nil
}

// settle closes a post that its room has. p.mu is held.
func (p *Posts) settle(r *roomPosts, i int) {
	x := r.open[i]
	r.remove(i)
	r.heard, r.turned = time.Now(), 0
	r.waits.Reset()
	p.cfg.Journal.Settle(bridge.Result{Ref: x.tag.Ref})
	if x.behind {
		p.cfg.Journal.Count(bridge.XMPP, bridge.Reordered, 1)
	}
	p.cfg.Side.Changed()
}

// Idle tells whether no post waits for its reflection in a room that answers.
func (p *Posts) Idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.byRoom {
		for _, x := range r.open {
			if !r.silent && x.stage != stageSearched {
				return false
			}
		}
	}
	return true
}

// restore takes in which rooms were slow.
func (p *Posts) restore(state map[string][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for key, value := range state {
		j, ok := strings.CutPrefix(key, keySlow)
		if !ok {
			continue
		}
		if r := p.byRoom[j]; r != nil && len(value) == 8 {
			at := time.UnixMilli(int64(binary.BigEndian.Uint64(value)))
			if left := slowFor - now.Sub(at); left > 0 && left <= slowFor { // a clock may have been set
				r.slow = now.Add(left)
				continue
			}
		}
		p.cfg.Journal.SetState(bridge.XMPP, bridge.StateRow{Key: key})
	}
}

func slowRow(room string, at time.Time) bridge.StateRow {
	return bridge.StateRow{Key: keySlow + room, Value: binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))}
}

// bury closes a post that its room has not reflected. p.mu is held.
func (p *Posts) bury(r *roomPosts, i int, why string) {
	x := r.open[i]
	r.remove(i)
	p.cfg.Journal.Settle(bridge.Result{Ref: x.tag.Ref, Err: bridge.Refuse("not_reflected", "%s", why)})
	p.cfg.Log.Warn().Str("room", r.jid).Stringer("ref", x.tag.Ref).Str("why", why).Msg("dead letter: the room has not reflected it")
}
