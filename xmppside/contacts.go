package xmppside

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

const (
	// mostSubscriptions is how many are remembered: each is a row of the journal. mostOfOne is how many of them one person may have. Who
	// asks beyond them is refused.
	mostSubscriptions = 100_000
	mostOfOne         = 1000

	nameEvery = time.Minute // in which a landline may change its name once

	mostName = 100 // characters of a name
)

// contacts are landlines as people have them in their contact lists (component). What they ask to see, and under which name, outlasts
// the process. It may be used from any goroutine.
type contacts struct {
	addr    *addresses
	journal bridge.SideState

	mu      sync.Mutex                 // guards all below
	sees    map[string]map[string]bool // by landline: who sees it, by bare JID
	seen    map[string]int             // how many each person has, by bare JID
	count   int                        // how many those are
	names   map[string]string          // by landline
	renamed map[string]bool            // who has changed the name
	since   time.Time                  // since then
	granted map[subscription]bool      // are pending, and to be told first that they may see it
	pending []subscription             // are to be told that the landline is there
	queued  map[subscription]bool
	gone    bool // the relay is leaving: no landline is there
	devices devices
}

// subscription is who wants to see whether a landline is there (RFC 6121 §3.1).
type subscription struct{ landline, bare string }

func newContacts(addr *addresses, journal bridge.SideState, report bool) *contacts {
	return &contacts{addr: addr, journal: journal, devices: newDevices(report), sees: map[string]map[string]bool{}, seen: map[string]int{}, renamed: map[string]bool{}, granted: map[subscription]bool{}, names: map[string]string{}, queued: map[subscription]bool{}}
}

// restore takes in what the journal remembers.
func (k *contacts) restore(state map[string][]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, value := range state {
		if landline, ok := strings.CutPrefix(key, keyName); ok {
			k.names[landline] = string(value)
		}
		if at, ok := strings.CutPrefix(key, keySubscriber); ok {
			landline, bare, _ := strings.Cut(at, "/") // no landline has one
			k.put(subscription{landline, bare})
		}
	}
}

// maySee tells whether somebody has to do with landlines: others are not told who they are.
func (k *contacts) maySee(bare string) bool {
	return k.addr.landlineOf(bare) != "" || k.addr.trusted[bare]
}

// presence takes what somebody's client or server says to a landline. It returns what is to be answered at once; nil: nothing.
func (k *contacts) presence(e *stanza.Element) []byte {
	bare := stanza.Bare(e.Get("from"))
	landline, ok := k.addr.addressee(e.Get("to"))
	if !ok || landline == "" || !k.maySee(bare) {
		if e.Get("type") == "subscribe" {
			return subscriptionAnswer("unsubscribed", bare)
		}
		return nil
	}
	s := subscription{landline, bare}
	switch e.Get("type") {
	case "subscribe":
		if !k.add(s, true) {
			return subscriptionAnswer("unsubscribed", bare)
		}
	case "probe": // by his server, at his login: what we know of it may be lost (RFC 6121 §4.3)
		k.add(s, false)
	case "unsubscribe":
		k.remove(s)
		return subscriptionAnswer("unsubscribed", bare)
	}
	return nil
}

func subscriptionAnswer(typ, to string) []byte {
	return append(stanza.AppendAttr(stanza.AppendAttr([]byte("<presence"), "type", typ), "to", to), "/>"...)
}

// add remembers a subscription, and has it told; false: there are too many.
func (k *contacts) add(s subscription, asked bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.sees[s.landline][s.bare] {
		if k.count >= mostSubscriptions || k.seen[s.bare] >= mostOfOne {
			return false
		}
		k.put(s)
		k.journal.SetState(bridge.XMPP, bridge.StateRow{Key: keySubscriber + s.landline + "/" + s.bare, Value: []byte("1")})
	}
	if asked {
		k.granted[s] = true
	}
	k.tell(s)
	return true
}

// put takes in one that is not there. k.mu is held.
func (k *contacts) put(s subscription) {
	if k.sees[s.landline] == nil {
		k.sees[s.landline] = map[string]bool{}
	}
	k.sees[s.landline][s.bare] = true
	k.seen[s.bare]++
	k.count++
}

// tell queues what is to be told. k.mu is held.
func (k *contacts) tell(s subscription) {
	if !k.queued[s] && len(k.pending) < mostSubscriptions { // who comes and goes may be in it more than once
		k.queued[s] = true
		k.pending = append(k.pending, s)
	}
}

// tellOf queues all who see a landline. k.mu is held.
func (k *contacts) tellOf(landline string) {
	for _, bare := range slices.Sorted(maps.Keys(k.sees[landline])) {
		k.tell(subscription{landline, bare})
	}
}

func (k *contacts) remove(s subscription) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sees[s.landline][s.bare] {
		delete(k.sees[s.landline], s.bare)
		if len(k.sees[s.landline]) == 0 {
			delete(k.sees, s.landline)
		}
		if k.seen[s.bare]--; k.seen[s.bare] == 0 {
			delete(k.seen, s.bare)
		}
		k.count--
		k.journal.SetState(bridge.XMPP, bridge.StateRow{Key: keySubscriber + s.landline + "/" + s.bare})
	}
}

// tellAll queues all that is remembered, in order. gone: from here on no landline is there.
func (k *contacts) tellAll(gone bool, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending, k.queued, k.gone = nil, map[subscription]bool{}, gone
	for _, landline := range slices.Sorted(maps.Keys(k.sees)) {
		if !gone && k.devices.waits(landline, now) {
			k.devices.late[landline] = true
			continue
		}
		k.tellOf(landline)
	}
}

// next takes up to n of those that are to be told, as stanzas.
func (k *contacts) next(n int) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	n = min(n, len(k.pending))
	var out []byte
	for _, s := range k.pending[:n] {
		delete(k.queued, s)
		granted := k.granted[s]
		delete(k.granted, s)
		if !k.sees[s.landline][s.bare] { // no longer
			continue
		}
		if from, why := k.addr.speaksAs(s.landline); why == nil {
			if granted {
				out = append(out, stanza.From(subscriptionAnswer("subscribed", s.bare), from)...)
			}
			typ, show := k.devices.shown(s.landline)
			if k.gone {
				typ = "unavailable"
			}
			out = append(out, presenceOf(from, s.bare, typ, show, k.names[s.landline])...)
		}
	}
	k.pending = k.pending[n:]
	return out
}

// presenceOf is one stanza; a name goes with it (XEP-0172).
func presenceOf(from, to, typ, show, name string) []byte {
	b := stanza.AppendAttr(stanza.AppendAttr([]byte("<presence"), "from", from), "to", to)
	if typ != "" {
		return append(stanza.AppendAttr(b, "type", typ), "/>"...)
	}
	b = append(b, '>')
	if show != "" {
		b = append(b, "<show>"+show+"</show>"...)
	}
	if name != "" {
		b = append(stanza.AppendText(append(b, "<nick xmlns='"+stanza.NSNick+"'>"...), []byte(name)), "</nick>"...)
	}
	return append(b, "</presence>"...)
}

// learn takes the name that a landline gives itself.
func (k *contacts) learn(landline, name string) {
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) { // it would turn around what stands behind the name
			return -1
		}
		return r
	}, stanza.LegalOnly(name))
	name = strings.Join(strings.Fields(name), " ") // a line of its own would be taken for another's words
	if text := []rune(name); len(text) > mostName {
		name = string(text[:mostName])
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); now.Sub(k.since) >= nameEvery {
		k.since = now
		clear(k.renamed)
	}
	before := k.names[landline]
	if name == "" || before == name || before == "" && len(k.names) >= mostSubscriptions || k.renamed[landline] {
		return
	}
	k.renamed[landline] = before != ""
	k.names[landline] = name
	k.journal.SetState(bridge.XMPP, bridge.StateRow{Key: keyName + landline, Value: []byte(name)})
	k.tellOf(landline)
}

// nameOf is what a landline is called.
func (k *contacts) nameOf(landline string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if name := k.names[landline]; name != "" {
		return name
	}
	return landline
}

// nickOf is what a landline is called where others are, too: what may be another one's number is no name there.
func (k *contacts) nickOf(landline string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := k.names[landline]
	_, spoke := k.names[name]
	if strings.Trim(name, "0123456789") == "" || spoke || len(k.sees[name]) > 0 {
		return landline
	}
	return name
}
