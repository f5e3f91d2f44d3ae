package xmppside

import (
	"strings"
	"sync/atomic"

	"mellium.im/xmpp/jid"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// addresses maps landlines to bare JIDs and back. It may be used from any goroutine.
type addresses struct {
	own      string // bare JID of the relay's account, or the component's domain
	resource string // of the component; empty: the relay is a client
	domain   string // where landlines live
	landline func(string) bool
	trusted  map[string]bool
	table    atomic.Pointer[identities] // replaced as a whole
}

// identities are the identity table. It never changes.
type identities struct {
	rows   map[string]string // landline to JID
	owners map[string]string // the same, by JID
}

func newAddresses(c *Config) *addresses {
	a := &addresses{own: c.JID, domain: c.UserDomain, landline: c.Landline, trusted: make(map[string]bool, len(c.Trusted))}
	for _, t := range c.Trusted {
		a.trusted[t] = true
	}
	if c.Component {
		a.resource = c.Resource
	}
	a.change(c.Identity)
	return a
}

// isComponent tells whether the addresses of a domain are ours.
func (a *addresses) isComponent() bool { return a.resource != "" }

// component is the domain of landlines' addresses; empty: the relay is a client.
func (a *addresses) component() string {
	if a.isComponent() {
		return a.own
	}
	return ""
}

// change puts another identity table into force.
func (a *addresses) change(rows map[string]string) {
	t := &identities{rows: rows, owners: make(map[string]string, len(rows))}
	for l, address := range rows {
		t.owners[address] = l
	}
	a.table.Store(t)
}

// jidOf is where a landline is reached.
func (a *addresses) jidOf(landline string) (string, *bridge.Refusal) {
	table := a.table.Load()
	if row, ok := table.rows[landline]; ok {
		return row, nil
	}
	want, why := a.at(landline, a.domain, "\"to\"", "it needs a row in the identity table")
	switch {
	case why != nil:
		return "", why
	case want == a.own:
		return "", bridge.Refuse("bad_address", "\"to\" is the relay's own account")
	case table.owners[want] != "":
		return "", bridge.Refuse("bad_address", "\"to\" makes the XMPP address of another landline")
	}
	return want, nil
}

// at makes the address of a landline at a domain. field is what names it in the envelope, and remedy what to do where the address would
// be another.
func (a *addresses) at(landline, domain, field, remedy string) (string, *bridge.Refusal) {
	if !a.landline(landline) {
		return "", bridge.Refuse("bad_address", "%s is not a landline", field)
	}
	want := landline + "@" + domain
	j, err := jid.Parse(want)
	switch {
	case err != nil || j.Localpart() == "" || j.Resourcepart() != "":
		return "", bridge.Refuse("bad_address", "%s makes no XMPP address", field)
	case j.String() != want:
		// It would reach another landline, or come back under another name.
		return "", bridge.Refuse("bad_address", "%s has letters that an XMPP address changes: %s", field, remedy)
	}
	return want, nil
}

// speaksAs is the address of ours that a landline writes from; empty: the server says it.
func (a *addresses) speaksAs(landline string) (string, *bridge.Refusal) {
	if !a.isComponent() {
		return "", nil
	}
	return a.at(landline, a.own, "\"from\"", "such a landline cannot be seen on XMPP")
}

// sitsAs is the address of ours under which a landline sits in rooms; empty: it has none.
func (a *addresses) sitsAs(landline string) string {
	bare, why := a.speaksAs(landline)
	if why != nil || bare == "" {
		return ""
	}
	return bare + "/" + a.resource
}

// answersAs is the address of ours that an answer comes from; empty: the server says it.
func (a *addresses) answersAs(contact string) string {
	if contact == "" && a.isComponent() {
		return a.own + "/" + a.resource
	}
	return contact
}

// addressee is the landline that a stanza to one of our addresses is for; empty: it is for the relay itself. false: there is none of
// that name.
func (a *addresses) addressee(to string) (landline string, ok bool) {
	bare := stanza.Bare(to)
	if !a.isComponent() || bare == a.own {
		return "", true
	}
	local, domain, _ := strings.Cut(bare, "@")
	return local, domain == a.own && a.landline(local)
}

// landlineOf is the landline of an authenticated bare JID, compared byte for byte; empty: it is nobody's. A
// landline with a row is reached, and speaks, from there only.
func (a *addresses) landlineOf(bare string) string {
	table := a.table.Load()
	if l, ok := table.owners[bare]; ok {
		return l
	}
	local, domain, ok := strings.Cut(bare, "@")
	if !ok || domain != a.domain || bare == a.own || !a.landline(local) {
		return ""
	}
	if _, elsewhere := table.rows[local]; elsewhere {
		return ""
	}
	return local
}

// self tells whether an address is the relay's own account. Mellium leaves from empty then.
func (a *addresses) self(address string) bool { return address == "" || stanza.Bare(address) == a.own }
