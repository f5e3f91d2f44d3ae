package xmppside

import (
	"context"
	"fmt"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

const policyAlways = "always"

// preferences are what the server archives of an account (XEP-0441).
type preferences struct {
	standard string // always, never or roster; empty: the server does not say
	never    int    // how many are left out by name
}

func (p preferences) always() bool { return p.standard == policyAlways && p.never == 0 }

func (p preferences) String() string {
	switch {
	case p.standard == "":
		return "unknown"
	case p.never > 0:
		return fmt.Sprintf("%s, but never for %d addresses", p.standard, p.never)
	}
	return p.standard
}

// policy is what we know of the archive's preferences.
type policy struct {
	preferences        // in force now
	warned      string // of which
	lasting     bool   // they were "always" when the cursor was set, and ever since: as in the journal
}

// preferencesOf asks our own account. Setting gives the answer in the same form.
func preferencesOf(ctx context.Context, k *connection, typ, payload string) (preferences, error) {
	e, err := k.ask(ctx, "", typ, payload)
	if err != nil {
		return preferences{}, err
	}
	said := e.Child(stanza.NSMAM, "prefs")
	if said == nil {
		return preferences{}, nil
	}
	p := preferences{standard: said.Get("default")}
	if never := said.Child(stanza.NSMAM, "never"); never != nil {
		p.never = len(never.All(stanza.NSMAM, "jid"))
	}
	return p, nil
}

const (
	askPrefs  = "<prefs xmlns='" + stanza.NSMAM + "'/>"
	setAlways = "<prefs xmlns='" + stanza.NSMAM + "' default='always'><always/><never/></prefs>"
)

// prefer has the server archive everything. What came while it was told otherwise is in its offline store alone. An
// error: the server cannot be asked now.
func (a *archive) prefer(ctx context.Context, c *login, offered bool) error {
	a.mu.Lock()
	lasting := a.policy.lasting && offered
	a.mu.Unlock()
	var p preferences
	var err error
	if offered {
		p, err = preferencesOf(ctx, c.connection, "get", askPrefs)
	}
	lasting = lasting && err == nil && p.always()
	if offered && !lasting && err == nil || stanza.IsAnswer(err) {
		before := p
		if p, err = preferencesOf(ctx, c.connection, "set", setAlways); err != nil {
			p = before
		}
	}
	if err != nil && !stanza.IsAnswer(err) {
		return fmt.Errorf("the server does not say what it archives: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if warn := p.String(); offered && !p.always() && a.policy.warned != warn {
		a.policy.warned = warn
		a.s.log.Warn().Stringer("policy", p).AnErr("refused", err).Str("fix", "set default_archive_policy = true (Prosody) or mod_mam's default: always (ejabberd)").
			Msg("the server does not archive all that comes for the relay, and does not let it say so")
	}
	a.policy.preferences = p
	if !lasting {
		a.remember(false)
	}
	return nil
}

// remember notes whether the archive has all since the cursor was set. a.mu is held.
func (a *archive) remember(lasting bool) {
	if a.policy.lasting == lasting {
		return
	}
	a.policy.lasting = lasting
	row := bridge.StateRow{Key: keyAlways}
	if lasting {
		row.Value = []byte("1")
	}
	a.s.journal.SetState(bridge.XMPP, row)
}
