package xmppside

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/stanza"
)

const (
	// ownPriority is the highest there is (RFC 6121 §4.7.2.3): messages to the bare JID go to no lower one (§8.5.2.1).
	ownPriority = 127
	mostOthers  = 100 // clients of the account that are remembered

	lookAfter = 30 * time.Second // while another may take messages
)

// others are the account's other clients that may be given messages for the relay: who has a priority that is as
// high as ours gets a copy, or gets them instead of us, as the server likes. What is in the journal (keyOthers)
// lasts over a resumption, which tells nobody's presence again.
type others struct {
	s       *Side
	changed wait.Broadcast

	mu    sync.Mutex // guards all below
	known otherClients
}

// otherClients is what is kept of them.
type otherClients struct {
	// Priority is by resource, of those that are available and take messages: it is not negative.
	Priority map[string]int `json:"priority,omitempty"`
	// Look: something may have gone to one of them, and the archive has not been asked since.
	Look bool `json:"look,omitempty"`
}

func newOthers(s *Side) *others {
	return &others{s: s, known: otherClients{Priority: map[string]int{}}}
}

// restore takes in what the journal remembers. It counts only if the stream is resumed.
func (o *others) restore(state map[string][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = json.Unmarshal(state[keyOthers], &o.known) // ours; none: nobody is known
	if o.known.Priority == nil {
		o.known.Priority = map[string]int{}
	}
}

// reset forgets who was there: after a fresh login the server tells it anew. What they may have taken before is
// behind the cursor still.
func (o *others) reset() {
	o.change(func(k *otherClients) { clear(k.Priority) })
}

// change changes what is known, and has the journal keep it.
func (o *others) change(f func(*otherClients)) {
	o.mu.Lock()
	before := otherClients{maps.Clone(o.known.Priority), o.known.Look}
	f(&o.known)
	if !maps.Equal(before.Priority, o.known.Priority) || before.Look != o.known.Look {
		row := bridge.StateRow{Key: keyOthers}
		if len(o.known.Priority) > 0 || o.known.Look {
			row.Value, _ = json.Marshal(o.known) // strings and numbers never err
		}
		o.s.journal.SetState(bridge.XMPP, row)
	}
	o.mu.Unlock()
	o.changed.Wake()
}

// flushed notes that our priority was negative for a moment: then lower ones take messages, too.
func (o *others) flushed() {
	o.change(func(k *otherClients) { k.Look = k.Look || len(k.Priority) > 0 })
}

// contested tells whether the archive may have what came past us: then the cursor moves by walks only.
func (o *others) contested() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known.Look
}

// rival tells whether another client has a priority as high as ours.
func (o *others) rival() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known.rival()
}

func (k *otherClients) rival() bool {
	for _, p := range k.Priority {
		if p >= ownPriority {
			return true
		}
	}
	return false
}

// presence follows our own account's clients. The server alone can send that (RFC 6121 §4.2.2).
func (o *others) presence(c *connection, e *stanza.Element) {
	from := e.Get("from")
	name := stanza.Resource(from)
	if stanza.Bare(from) != o.s.addr.own || name == "" || from == c.full {
		return
	}
	priority, there := priorityOf(e)
	was := -1
	o.change(func(k *otherClients) {
		if p, known := k.Priority[name]; known {
			was = p
		}
		delete(k.Priority, name)
		if there && priority >= 0 && len(k.Priority) < mostOthers {
			k.Priority[name] = priority
		}
		k.Look = k.Look || priority >= ownPriority && there
	})
	is := there && priority >= ownPriority
	switch {
	case is && was < ownPriority:
		c.wg.Go(func() { o.say(c, from, priority) }) // ends with the connection
	case !is && was >= ownPriority:
		o.s.log.Info().Str("jid", from).Msg("the other client of the relay's account takes no messages any more")
	}
}

// priorityOf reads a presence; there: it says that somebody is available.
func priorityOf(e *stanza.Element) (priority int, there bool) {
	if e.Get("type") != "" {
		return 0, false
	}
	if p := e.Child(stanza.NSClient, "priority"); p != nil {
		priority, _ = strconv.Atoi(strings.TrimSpace(p.Text)) // 0, where it cannot be read
	}
	return priority, true
}

// say tells of another client, by what it says it is.
func (o *others) say(c *connection, from string, priority int) {
	if name, err := softwareOf(c.l.Context(), c, from); err == nil && name == softwareName {
		o.s.log.Error().Str("jid", from).Str("fix", "stop one of the two: one relay per account and topic prefix").
			Msg("another relay is logged in to the same account: each message reaches both, and is delivered twice")
		return
	}
	o.s.log.Warn().Str("jid", from).Int("priority", priority).Bool("archive", o.s.archive.Known()).
		Str("fix", "log that client out, or give it a lower priority: the account is for the relay alone").
		Msg("another client of the relay's account has a priority as high as ours and may take messages; they are fetched from the archive, where there is one")
}

// watch fetches from the archive what others may have taken, as long as the login lasts.
func (o *others) watch(ctx context.Context, c *connection) {
	failure := ""
	next := time.Now().Add(lookAfter)
	for ctx.Err() == nil {
		change := o.changed.Wait()
		contested, rival := o.contested(), o.rival()
		if contested && (!rival || !time.Now().Before(next)) {
			err := o.look(ctx, c)
			next = time.Now().Add(lookAfter)
			if err != nil && ctx.Err() == nil && fix.Shape(err) != failure {
				failure = fix.Shape(err)
				o.s.archive.WarnUnreadable(err)
			}
			if err == nil {
				failure = ""
				continue
			}
			rival = true // again later
		}
		var due <-chan time.Time
		if contested && rival {
			due = time.After(time.Until(next))
		}
		select {
		case <-change:
		case <-due:
		case <-ctx.Done():
		}
	}
}

var errNoPlace = errors.New("xmpp: it is not known yet where in the archive we are")

// look takes what is in the archive and did not come to us. When nobody was there who might take more, the cursor
// is free again afterwards.
func (o *others) look(ctx context.Context, c *connection) error {
	rival := o.rival()
	if o.s.archive.Known() {
		if _, has := o.s.archive.Place.Position(); !has {
			return errNoPlace
		}
		if err := o.s.archive.Fill(ctx, c, &mam.Search{}); err != nil {
			return err
		}
	}
	if !rival {
		o.change(func(k *otherClients) { k.Look = k.rival() }) // another may have come meanwhile
	}
	return nil
}
