package xmppside

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/sm"
)

// streamJournal is sm's Journal over the journal. Its methods only enqueue (but for Wait), as both sides of it demand; Bind,
// Save and acked are called under the Stream's lock, one at a time.
type streamJournal struct {
	journal bridge.SideJournal
	place   *mam.Place
	sent    func(int) // counts stanzas that the server has
	posts   *muc.Posts
	saved   string // id of the stream that is in the journal
	changed *wait.Broadcast
	undone  func() // called when a commit has failed

	mu       sync.Mutex
	suspects map[bridge.Ref]bool // stanzas that may have killed the stream, until each is settled
}

func newStreamJournal(s *Side) *streamJournal {
	return &streamJournal{journal: s.journal, place: s.archive.Place, sent: s.archive.Sent, posts: s.rooms.Posts, changed: &s.changed, undone: func() { s.requeues(1) },
		suspects: map[bridge.Ref]bool{}}
}

// Bind implements sm.Journal. A number that shifts on resumption keeps the first place in the archive.
func (l *streamJournal) Bind(s sm.Stanza, stream string) uint64 {
	x := s.Tag.(*outgoing)
	if x.binding.at.IsZero() {
		x.binding.cursor, x.binding.at = l.place.ID(), time.Now()
	}
	x.binding.stream, x.binding.n = stream, s.N
	ticket := l.journal.Bind(x.ref, x.binding.bytes())
	if x.post != nil {
		l.posts.Bound(x.post, ticket)
	}
	return ticket
}

// Save implements sm.Journal.
func (l *streamJournal) Save(x sm.Session) uint64 {
	row := bridge.StateRow{Key: keyStream}
	if x.ID != "" {
		row.Value, _ = json.Marshal(x) // strings and numbers never err
	}
	rows := []bridge.StateRow{row}
	if l.saved != "" && l.saved != x.ID {
		rows = append(rows, bridge.StateRow{Key: countKey(l.saved)})
	}
	l.saved = x.ID
	return l.journal.SetState(bridge.XMPP, rows...)
}

// Wait implements sm.Journal. What a commit that failed had bound is back in the journal.
func (l *streamJournal) Wait(ctx context.Context, ticket uint64) error {
	err := l.journal.Wait(ctx, ticket)
	if err != nil && ctx.Err() == nil {
		l.undone()
	}
	return err
}

// acked closes what the server has, but for room posts: it is the room that has to have those.
func (l *streamJournal) acked(done []sm.Stanza) {
	results := make([]bridge.Result, 0, len(done))
	refs := make([]bridge.Ref, len(done))
	for i, s := range done {
		x := s.Tag.(*outgoing)
		if refs[i] = x.ref; x.post != nil {
			l.posts.Acked(x.post)
			continue
		}
		results = append(results, bridge.Result{Ref: x.ref})
	}
	if len(results) > 0 {
		l.journal.Settle(results...)
	}
	l.sent(len(done))
	l.settled(refs...)
	l.changed.Wake()
}

// suspect remembers who may have killed the stream.
func (l *streamJournal) suspect(refs ...bridge.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range refs {
		l.suspects[r] = true
	}
}

func (l *streamJournal) settled(refs ...bridge.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range refs {
		delete(l.suspects, r)
	}
}

// clearSuspects is for suspects that never come again: they were dropped by hand, or refused.
func (l *streamJournal) clearSuspects() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.suspects)
}

func (l *streamJournal) unsuspicious() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.suspects) == 0
}

// restore makes the stream's queue of the deliveries that it held when the process ended. What belongs to another
// stream is lost, and the server may have it. What cannot be made again goes back into the journal.
func (s *Side) restore(ctx context.Context, saved sm.Session) (queue []sm.Stanza, err error) {
	bound, err := s.journal.Bound(ctx, bridge.XMPP)
	if err != nil {
		return nil, err
	}
	var back []bridge.Ref
	for _, delivery := range bound {
		h, err := parseBinding(delivery.Binding)
		r, why := s.render(&delivery.Outbound)
		if err != nil || why != nil {
			back = append(back, delivery.Ref)
			continue
		}
		r.binding = h
		x := sm.Stanza{N: h.n, Raw: r.raw, Tag: &r.outgoing}
		if r.post != nil {
			s.rooms.Posts.Restored(r.post, h.at, h.stream == saved.ID)
		}
		if h.stream == saved.ID {
			queue = append(queue, x)
			continue
		}
		if x.Maybe = true; r.post == nil {
			s.lost = append(s.lost, x)
		}
	}
	if saved.ID != "" {
		slices.SortStableFunc(queue, func(a, b sm.Stanza) int { return cmp.Compare(a.N, b.N) })
	}
	if len(back) > 0 {
		s.journal.Count(bridge.XMPP, bridge.MaybeDuplicate, len(back))
		s.journal.Unbind(back...)
		s.log.Warn().Int("maybe_duplicate", len(back)).Msg("bound deliveries cannot be resumed and are sent again")
	}
	return queue, nil
}
