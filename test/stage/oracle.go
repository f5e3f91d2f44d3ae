package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"chatrelay/test/e2e/clients"
)

// Origin is the side on which a message was sent.
type Origin string

// The two sides.
const (
	FromMQTT Origin = "m"
	FromXMPP Origin = "x"
)

// Item is one message and what became of it. Its fields belong to the oracle's lock.
type Item struct {
	Origin   Origin
	Body     string
	From     string
	To       string
	N        int  // in its lane, from 1
	Far      int  // arrivals where it should
	Again    bool // it was sent twice on purpose: its order is no longer the sender's
	Poison   bool // it must not arrive, and its sender must be told failed
	id       string
	canary   bool // set before it is sent, never changed
	sent     time.Time
	acked    time.Time // when its sender's server took it; zero: not yet
	came     time.Time // first arrival
	own      int       // arrivals of an MQTT message in its own inbox, straight from the broker: not by the relay
	bounced  bool      // an error came back for it
	notices  map[string]int
	reason   string   // of a failed notice
	archived []string // archive ids of its arrivals
}

// Oracle knows every id that was sent and judges everything that is heard.
type Oracle struct {
	// Archives: what counts as a person's XMPP inbox is the archive, read in the end (HearArchive): the order is
	// judged there, and what was heard live counts once with what the archive has under the same id.
	Archives bool

	begun time.Time

	mu      sync.Mutex // guards all below
	items   map[string]*Item
	last    map[string]int // newest n heard in a lane
	relayed int            // items that arrived, or were told failed as they should
	noticed int            // items whose sender was told
	heard   int            // all that came
	wrong   []string       // what should not be
	counts  Counts         // those that are counted as they happen
	changed chan struct{}  // closed at each event, then made anew
	room    map[Origin]chan struct{}
}

// NewOracle makes one that lets so many messages be under way in each direction.
func NewOracle(underway int) *Oracle {
	return &Oracle{begun: time.Now(), items: map[string]*Item{}, last: map[string]int{}, changed: make(chan struct{}),
		room: map[Origin]chan struct{}{FromMQTT: make(chan struct{}, underway), FromXMPP: make(chan struct{}, underway)}}
}

// Next journals the next message of a lane and waits until there is room for it on the way.
func (o *Oracle) Next(ctx context.Context, side Origin, from, to string, n int) (*Item, error) {
	select {
	case o.room[side] <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	id := strings.Join([]string{string(side), from, to, strconv.Itoa(n)}, "|")
	return o.expect(&Item{Origin: side, Body: Direct(from, to, id).String(), From: from, To: to, N: n, id: id}), nil
}

// Poison journals a message that must not arrive.
func (o *Oracle) Poison(side Origin, from, to, body string, content string) *Item {
	return o.expect(&Item{Origin: side, Body: body, From: from, To: to, id: content, Poison: true})
}

func (o *Oracle) expect(it *Item) *Item {
	it.notices, it.sent = map[string]int{}, time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.items[it.id] = it
	return it
}

// Age is how old the oracle is: the times in Wrong are.
func (o *Oracle) Age() time.Duration { return time.Since(o.begun) }

// Acked notes that the sender's server has taken a message.
func (o *Oracle) Acked(it *Item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	it.acked = time.Now()
	o.tell()
}

// HearMQTT implements Hearer.
func (o *Oracle) HearMQTT(inbox string, payload []byte) {
	var e Envelope
	err := json.Unmarshal(payload, &e)
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.tell()
	it := o.items[e.About()]
	switch {
	case err != nil || it == nil:
		o.phantom("phantom in MQTT inbox %s: %.200s", inbox, payload)
	case e.Notice():
		o.notice(it, inbox, e)
	case inbox != it.To:
		o.phantom("%s in MQTT inbox %s", it.id, inbox)
	case it.Origin == FromMQTT:
		if it.own++; it.own > 1 && !it.Again {
			o.counts.Echo++
			o.fault("echo of %s to MQTT", it.id)
		}
	default:
		o.arrive(it, string(payload), "")
		if it.Far > 1 {
			o.counts.DupM++
			o.fault("%s came %d times to MQTT", it.id, it.Far)
		}
	}
}

// HearXMPP implements Hearer.
func (o *Oracle) HearXMPP(inbox string, s clients.Stanza) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.tell()
	if s.Type == "error" {
		if it := o.items[s.ID]; it != nil {
			it.bounced = true
		}
		o.counts.Errors++
		o.fault("error to %s: %s %s", inbox, s.Condition, s.Text)
		return
	}
	o.chat(inbox, s)
}

// HearArchive takes a person's archive.
func (o *Oracle) HearArchive(inbox, receiver string, all []clients.Stanza) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.tell()
	clear(o.last)
	for _, s := range all {
		if from, _, _ := strings.Cut(s.From, "/"); from == receiver {
			o.chat(inbox, s)
		}
	}
	o.archiveOrder(inbox, receiver, all)
}

// chat takes a message from the relay at an XMPP client. It needs the lock.
func (o *Oracle) chat(inbox string, s clients.Stanza) {
	var e Envelope
	err := json.Unmarshal([]byte(s.Body), &e)
	it := o.items[e.About()]
	switch {
	case err != nil || it == nil:
		o.phantom("phantom at XMPP client %s: %+v", inbox, s)
	case it.Origin == FromXMPP:
		o.counts.Echo++
		o.fault("echo of %s to XMPP", it.id)
	case inbox != it.To:
		o.phantom("%s at XMPP client %s", it.id, inbox)
	case s.Archived != "" && slices.Contains(it.archived, s.Archived):
		// heard live, and now in the archive
	default:
		o.arrive(it, s.Body, s.Archived)
		if it.Far > 1 {
			o.counts.DupX++
		}
	}
}

// arrive needs the lock.
func (o *Oracle) arrive(it *Item, body, archived string) {
	if body != it.Body {
		o.phantom("%s was changed: %s", it.id, body)
	}
	if it.Poison {
		o.phantom("poison %s arrived", it.id)
		return
	}
	if archived != "" {
		it.archived = append(it.archived, archived)
	}
	o.heard++
	if it.Far++; it.Far > 1 {
		return
	}
	it.came = time.Now()
	o.relayed++
	<-o.room[it.Origin]
	if !o.Archives || it.Origin == FromXMPP {
		o.order(it)
	}
}

// order needs the lock.
func (o *Oracle) order(it *Item) {
	lane := string(it.Origin) + it.From + ">" + it.To
	if it.N < o.last[lane] && !it.Again {
		if it.Origin == FromXMPP {
			o.counts.DisorderM++
		} else {
			o.counts.DisorderX++
		}
		o.fault("%s came after %d", it.id, o.last[lane])
	}
	o.last[lane] = max(o.last[lane], it.N)
}

// archiveOrder judges the order of first appearances. It needs the lock.
func (o *Oracle) archiveOrder(inbox, receiver string, all []clients.Stanza) {
	seen := map[string]bool{}
	for _, s := range all {
		var e Envelope
		_ = json.Unmarshal([]byte(s.Body), &e) // what is none was said by chat
		it := o.items[e.About()]
		from, _, _ := strings.Cut(s.From, "/")
		if it != nil && from == receiver && it.To == inbox && !seen[it.id] {
			seen[it.id] = true
			o.order(it)
		}
	}
}

// notice needs the lock.
func (o *Oracle) notice(it *Item, inbox string, e Envelope) {
	if inbox != it.From {
		o.phantom("notice for %s in inbox %s", it.id, inbox)
	}
	if it.Origin == FromMQTT && e.Content != "" {
		o.phantom("the notice of %s, whose sender is not proven, has its content", it.id)
	}
	o.heard++
	it.notices[e.Status]++
	first := it.notices["sent"]+it.notices["failed"] == 1 && e.Status != "delayed"
	if first {
		o.noticed++
	}
	if e.Status != "failed" {
		return
	}
	it.reason = e.Reason
	if it.Poison && first {
		o.relayed++
		return
	}
	if !it.Poison {
		o.counts.Failed++
		o.fault("%s failed: %s", it.id, e.Reason)
	}
}

func (o *Oracle) phantom(format string, args ...any) {
	o.counts.Phantom++
	o.fault(format, args...)
}

func (o *Oracle) fault(format string, args ...any) {
	if len(o.wrong) < 20 {
		o.wrong = append(o.wrong, fmt.Sprintf("%.2f s: ", time.Since(o.begun).Seconds())+fmt.Sprintf(format, args...))
	}
}

func (o *Oracle) tell() {
	close(o.changed)
	o.changed = make(chan struct{})
}
