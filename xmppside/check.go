package xmppside

import (
	"context"
	"encoding/xml"
	"fmt"
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
	checkTimeout = 30 * time.Second
	checkMark    = "-check" // behind our resource and nick, so that a running relay is not disturbed
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
	cfg.Resource += checkMark
	st := sm.New(sm.Config{Account: cfg.JID, Resource: cfg.Resource}, sm.State{})
	k, err := newConnector(&cfg, loginOf(&cfg, me)).connect(ctx, st)
	login := bridge.Step{Name: "xmpp login", Fatal: true, OK: err == nil}
	if err != nil {
		login.Note = fix.Text(fix.XMPP, fix.Explain(ctx, err))
		return append(steps, login)
	}
	login.Note = fmt.Sprintf("%s at %s, %s", k.full, k.addr, tlsNote(k))
	p := &probe{connection: k}
	p.rooms = muc.New(muc.Config{Rooms: cfg.Rooms, Nick: cfg.Nick + checkMark, Ours: func(_, _ string) bool { return false }, Side: p, Journal: noJournal{}, Log: zerolog.Nop()})
	served := make(chan struct{})
	go func() { defer close(served); k.l.Serve(k.sess, p.handle, nil) }() // ends with the connection; waited for below
	if cfg.Component {
		steps = append(steps, login, componentNote(), p.clock(ctx, cfg.UserDomain))
	} else {
		steps = append(steps, login, p.management(), p.archived(ctx), p.clock(ctx, stanza.Domain(stanza.Bare(k.full))))
	}
	for _, room := range cfg.Rooms {
		steps = append(steps, p.room(ctx, room))
	}
	_ = k.l.Logout(ctx) // nothing of it is lasting
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

// management reports on XEP-0198.
func (p *probe) management() bridge.Step {
	st := bridge.Step{Name: "xmpp stream management (XEP-0198)", OK: p.l.Enabled(), Note: "offered: nothing is lost or doubled when a connection breaks"}
	if !st.OK {
		st.Note = "not offered: messages may be doubled when a connection breaks, and what is on its way to the relay may be lost. Enable smacks (Prosody) or mod_stream_mgmt (ejabberd)"
	}
	return st
}

// archived reports on XEP-0313.
func (p *probe) archived(ctx context.Context) bridge.Step {
	st := bridge.Step{Name: "xmpp archive (XEP-0313)"}
	offered, err := mam.Offered(ctx, p, stanza.Bare(p.full))
	switch {
	case err != nil:
		st.Note = "the server does not say: " + err.Error()
	case !offered:
		st.Note = "not offered: what waits for the relay in the server's memory is lost if the server dies while the relay is away. Enable mam (Prosody) or mod_mam (ejabberd)"
	default:
		st.OK, st.Note = p.policy(ctx)
	}
	return st
}

// policy tells what is archived of the relay's account (XEP-0441). The relay itself sets it.
func (p *probe) policy(ctx context.Context) (ok bool, note string) {
	prefs, err := mam.PreferencesOf(ctx, p)
	switch {
	case err != nil:
		return false, "offered, but the server does not say what it archives (" + err.Error() + "): the relay takes the offline store first"
	case prefs.Always():
		return true, "offered, its policy is always: gaps are filled from it"
	}
	return false, "offered, its policy is " + prefs.String() + ": the relay sets it to always at its start. Where the server refuses that, set default_archive_policy = true (Prosody) or mod_mam's default: always (ejabberd)"
}

// room looks whether a room is there, lets us in, and shows who speaks.
func (p *probe) room(ctx context.Context, room string) bridge.Step {
	st := bridge.Step{Name: "xmpp room " + room}
	seen, err := p.rooms.Visit(ctx, p, room)
	switch {
	case err != nil:
		st.Note = err.Error()
	case !seen.Open:
		st.Note = "the room is anonymous, so what is said there is refused: let it show real addresses to everybody (muc#roomconfig_whois=anyone)"
	case !seen.BanList:
		st.OK, st.Note = true, "shows real addresses; not its ban list: "+muc.AdminFix+", so that nobody who is banned there posts by a row in CHATRELAY_GROUPS_FILE"
	default:
		st.OK, st.Note = true, "shows real addresses"
	}
	return st
}
