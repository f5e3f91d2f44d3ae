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
	own      string // bare JID of the relay's account
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
	a.change(c.Identity)
	return a
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
	if !a.landline(landline) {
		return "", bridge.Refuse("bad_address", "\"to\" is not a landline")
	}
	want := landline + "@" + a.domain
	j, err := jid.Parse(want)
	switch {
	case err != nil || j.Localpart() == "" || j.Resourcepart() != "":
		return "", bridge.Refuse("bad_address", "\"to\" makes no XMPP address")
	case j.String() != want:
		// It would reach another landline, or come back under another name.
		return "", bridge.Refuse("bad_address", "\"to\" has letters that an XMPP address changes: it needs a row in the identity table")
	case want == a.own:
		return "", bridge.Refuse("bad_address", "\"to\" is the relay's own account")
	case table.owners[want] != "":
		return "", bridge.Refuse("bad_address", "\"to\" makes the XMPP address of another landline")
	}
	return want, nil
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
