package mam

import (
	"context"
	"fmt"

	"chatrelay/xmppside/stanza"
)

const policyAlways = "always"

const (
	askPrefs  = "<prefs xmlns='" + stanza.NSMAM + "'/>"
	setAlways = "<prefs xmlns='" + stanza.NSMAM + "' default='always'><always/><never/></prefs>"
)

// Preferences are what the server archives of an account (XEP-0441).
type Preferences struct {
	standard string // always, never or roster; empty: the server does not say
	never    int    // how many are left out by name
}

// Always tells whether everything is archived.
func (p Preferences) Always() bool { return p.standard == policyAlways && p.never == 0 }

func (p Preferences) String() string {
	switch {
	case p.standard == "":
		return "unknown"
	case p.never > 0:
		return fmt.Sprintf("%s, but never for %d addresses", p.standard, p.never)
	}
	return p.standard
}

// PreferencesOf asks our own account.
func PreferencesOf(ctx context.Context, c stanza.Asker) (Preferences, error) {
	return askPreferences(ctx, c, "get", askPrefs)
}

// askPreferences asks or sets: setting gives the answer in the same form.
func askPreferences(ctx context.Context, c stanza.Asker, typ, payload string) (Preferences, error) {
	e, err := c.Ask(ctx, "", typ, payload)
	if err != nil {
		return Preferences{}, err
	}
	prefs := e.Child(stanza.NSMAM, "prefs")
	if prefs == nil {
		return Preferences{}, nil
	}
	p := Preferences{standard: prefs.Get("default")}
	if never := prefs.Child(stanza.NSMAM, "never"); never != nil {
		p.never = len(never.All(stanza.NSMAM, "jid"))
	}
	return p, nil
}
