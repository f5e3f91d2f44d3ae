package xmppside

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

const discoTimeout = 5 * time.Second

// discover asks whether there is an archive. Without an answer what was known is kept.
func (a *archive) discover(ctx context.Context, c *login) error {
	ctx, cancel := context.WithTimeout(ctx, discoTimeout)
	defer cancel()
	offered, err := hasArchive(ctx, c.connection)
	if _, answered := errors.AsType[*stanza.Error](err); err != nil && !answered {
		return fmt.Errorf("the server does not say whether it has an archive: %w", err)
	}
	a.mu.Lock()
	before := a.offered
	a.asked, a.offered = true, offered
	a.mu.Unlock()
	row := bridge.StateRow{Key: keyArchive}
	if offered {
		row.Value = []byte("1")
	}
	if offered != before {
		a.s.journal.SetState(bridge.XMPP, row)
	}
	return a.prefer(ctx, c, offered)
}

// hasArchive asks our own account (XEP-0313 §8).
func hasArchive(ctx context.Context, k *connection) (bool, error) {
	e, err := k.ask(ctx, stanza.Bare(k.full), "get", "<query xmlns='"+stanza.NSDisco+"'/>")
	if err != nil {
		return false, err
	}
	return hasFeature(e, stanza.NSMAM), nil
}

func hasFeature(info *stanza.Element, name string) bool {
	q := info.Child(stanza.NSDisco, "query")
	if q == nil {
		return false
	}
	for _, f := range q.All(stanza.NSDisco, "feature") {
		if f.Get("var") == name {
			return true
		}
	}
	return false
}
