package xmppside

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"
	"mellium.im/xmlstream"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const (
	checkTimeout = time.Minute
	checkSuffix  = "-check" // behind our resource and nick, so that a running relay is not disturbed
)

// Check connects as the configuration says, under a resource of its own and without presence, so that it takes
// no messages from a running relay.
func Check(ctx context.Context, cfg Config) []bridge.Step {
	me, err := cfg.prepare()
	if err != nil {
		return []bridge.Step{{Name: "xmpp configuration", Fatal: true, Note: err.Error()}}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	steps := []bridge.Step{{Name: "xmpp configuration", OK: true, Note: fmt.Sprintf("%s, landlines at %s", cfg.JID, cfg.UserDomain)}}
	if !cfg.Component { // that is told where its server is
		steps = append(steps, checkDNS(ctx, net.DefaultResolver, &cfg, me.Domainpart()))
	}
	cfg.Resource += checkSuffix
	st := sm.New(sm.Config{Account: cfg.JID, Resource: cfg.Resource}, sm.State{})
	k, err := newConnector(&cfg, loginOf(&cfg, me)).connect(ctx, st)
	login := bridge.Step{Name: "xmpp login", Fatal: true, OK: err == nil}
	if err != nil {
		err = fix.Explain(ctx, err)
		login.Note, login.Fix = fix.Short(err), fix.For(fix.XMPP, err)
		return append(steps, login)
	}
	login.Note = fmt.Sprintf("%s at %s, %s", k.full, k.addr, tlsNote(k))
	p := &probe{connection: k}
	p.rooms = muc.New(muc.Config{Rooms: cfg.Rooms, Nick: cfg.Nick + checkSuffix, Ours: func(_, _ string) bool { return false }, Side: p, Journal: noJournal{}, Log: zerolog.Nop()})
	served := make(chan struct{})
	go func() { defer close(served); k.l.Serve(k.sess, p.handle, nil) }() // ends with the connection; waited for below
	domain := me.Domainpart()
	if cfg.Component {
		domain = cfg.UserDomain
		steps = append(steps, login, componentNote())
	} else {
		steps = append(steps, login, p.management(st.Session()), p.archived(ctx))
	}
	steps = append(steps, p.clock(ctx, domain))
	for _, room := range cfg.Rooms {
		steps = append(steps, p.room(ctx, room))
	}
	pace, slowed := p.pace(ctx, domain)
	steps = append(steps, pace, p.size(ctx, &cfg, domain, slowed))
	if !slowed {
		_ = k.l.Logout(ctx) // nothing of it is lasting
	}
	k.l.Close()
	<-served
	return steps
}

func tlsNote(k *connection) string {
	if k.tls == "" {
		return "not encrypted"
	}
	return k.tls
}

// probe is the connection of a check. It joins rooms as Run does; nothing of it is lasting.
type probe struct {
	*connection
	rooms *muc.Rooms
}

// noJournal keeps nothing of a check.
type noJournal struct{ bridge.SideJournal }

// SetState implements bridge.SideState.
func (noJournal) SetState(bridge.SideID, ...bridge.StateRow) uint64 { return 0 }

// Requeued implements muc.Side: nothing is posted.
func (p *probe) Requeued() {}

// Changed implements muc.Side: nobody waits.
func (p *probe) Changed() {}

// Leaving implements muc.Side.
func (p *probe) Leaving() bool { return false }

// GaveBack implements muc.Side: nothing is posted.
func (p *probe) GaveBack(*muc.Bounce) {}

func (p *probe) handle(m sm.Handle, t xmlstream.TokenReadEncoder, start *xml.StartElement) {
	e, err := stanza.Read(t, start)
	if err != nil {
		return
	}
	switch start.Name.Local {
	case "iq":
		p.iq(t, start, e, "", asker{name: e.Get("from")})
	case "presence":
		p.rooms.Presence(e)
	case "message":
		p.giveBack(e)
	}
	m.Done()
}

// giveBack tells who writes to a component that nobody is there: no server keeps the message. An account's stays in its store.
func (p *probe) giveBack(e *stanza.Element) {
	if !p.own.isComponent() || e.Get("type") == "error" || e.Get("type") == "groupchat" || e.Child(stanza.NSClient, "body") == nil {
		return
	}
	b := stanza.AppendAttr(head(nil, stanza.Bare(e.Get("to")), e.Get("from"), "error", replyID(e)), "xml:lang", "en")
	p.l.Reply(append(b, "><error type='wait'><recipient-unavailable xmlns='"+stanza.NSStanzas+"'/><text xmlns='"+stanza.NSStanzas+"'>"+
		"the relay is not running; send it again later</text></error></message>"...), mostReplies)
}

// componentNote says what a component cannot have.
func componentNote() bridge.Step {
	return bridge.Step{Name: "xmpp component (XEP-0114)", OK: true, Note: "what people send while the relay is away is given back to them by the server, and what is on its way at a broken connection may be lost: no server has XEP-0198 for components"}
}

// leastHold is how long a server should hold a broken stream: that of a relay that restarts.
const leastHold = time.Minute

// management reports on XEP-0198.
func (p *probe) management(sess sm.Session) bridge.Step {
	st := bridge.Step{Name: "xmpp stream management (XEP-0198)"}
	const account = " on the server of CHATRELAY_XMPP_JID"
	switch {
	case !p.l.Enabled():
		st.Note = "not offered: messages may be doubled when a connection breaks, and what is on its way to the relay may be lost"
		st.Fix = "enable smacks (Prosody) or mod_stream_mgmt (ejabberd)" + account
	case sess.ID == "":
		st.Note = "offered, but a broken stream cannot be resumed: what was on its way is looked for in the archive, and may be doubled"
		st.Fix = "allow resumption (ejabberd: resume_timeout above 0)" + account
	case sess.Max > 0 && sess.Max < leastHold:
		st.Note = fmt.Sprintf("offered, but a broken stream is held for %v only: after a longer outage what was on its way is looked for in the archive, and may be doubled", sess.Max)
		st.Fix = "raise smacks_hibernation_time (Prosody) or resume_timeout (ejabberd)" + account
	default:
		st.OK, st.Note = true, "offered: nothing is lost or doubled when a connection breaks"
		if sess.Max > 0 {
			st.Note += fmt.Sprintf(", for %v", sess.Max)
		}
	}
	return st
}

// archived reports on XEP-0313.
func (p *probe) archived(ctx context.Context) bridge.Step {
	st := bridge.Step{Name: "xmpp archive (XEP-0313)"}
	offered, err := mam.Offered(ctx, p, stanza.Bare(p.full))
	switch {
	case err != nil:
		st.Note, st.Fix = "the server does not say: "+err.Error(), "look at the log of the server of CHATRELAY_XMPP_JID"
	case !offered:
		st.Note = "not offered: what waits for the relay in the server's memory is lost if the server dies while the relay is away"
		st.Fix = "enable mam (Prosody) or mod_mam (ejabberd) on the server of CHATRELAY_XMPP_JID"
	default:
		p.policy(ctx, &st)
	}
	return st
}

// policy tells what is archived of the relay's account (XEP-0441). The relay itself sets it.
func (p *probe) policy(ctx context.Context, st *bridge.Step) {
	const set = "set default_archive_policy = true (Prosody) or mod_mam's default: always (ejabberd) on the server of CHATRELAY_XMPP_JID"
	prefs, err := mam.PreferencesOf(ctx, p)
	switch {
	case err != nil:
		st.Note = "offered, but the server does not say what it archives (" + err.Error() + "): the relay takes the offline store first"
		st.Fix = set
	case prefs.Always():
		st.OK, st.Note = true, "offered, its policy is always: gaps are filled from it"
	default:
		st.Note = "offered, its policy is " + prefs.String() + ": the relay sets it to always at its start"
		st.Fix = "where the server refuses that, " + set
	}
}

// room looks whether a room is there, lets us in, and shows who speaks.
func (p *probe) room(ctx context.Context, room string) bridge.Step {
	st := bridge.Step{Name: "xmpp room " + room}
	seen, err := p.rooms.Visit(ctx, p, room)
	switch {
	case err != nil:
		st.Note, st.Fix = err.Error(), "see what the room says, or take it out of CHATRELAY_XMPP_ROOMS and CHATRELAY_GROUPS_FILE"
		if e, ok := errors.AsType[*muc.Unusable](err); ok {
			st.Note, st.Fix = e.Wrong, e.Fix
		}
	case !seen.Open:
		st.Note = "the room is anonymous, so what is said there is refused"
		st.Fix = "let it show real addresses to everybody (muc#roomconfig_whois=anyone), or take it out of CHATRELAY_XMPP_ROOMS and CHATRELAY_GROUPS_FILE"
	case !seen.BanList:
		st.OK, st.Note = true, "shows real addresses; not its ban list: "+muc.AdminFix+", so that nobody who is banned there posts by a row in CHATRELAY_GROUPS_FILE"
	default:
		st.OK, st.Note = true, "shows real addresses"
	}
	return st
}
