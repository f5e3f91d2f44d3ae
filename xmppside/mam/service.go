package mam

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

const discoTimeout = 5 * time.Second

// service is what the server said of its archive. It may be used from any goroutine.
type service struct {
	account string
	journal bridge.SideState
	log     zerolog.Logger

	mu      sync.Mutex // guards all below
	asked   bool       // the server has said whether it has one, since the last login that could not resume
	offered bool
	inForce Preferences
	warned  string // of which
	lasting bool   // they were "always" when the cursor was set, and ever since: as in the journal
}

func (s *service) restore(state map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, s.offered = state[keyArchive]
	_, s.lasting = state[keyAlways]
}

// known tells whether our server has an archive.
func (s *service) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offered
}

// forget has the server asked again at the next login.
func (s *service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = false
}

// wasAsked tells whether the server has said what it has.
func (s *service) wasAsked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// lasts tells whether the archive has all that came since the cursor was set, as far as it has not dropped it.
func (s *service) lasts() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lasting
}

// filled notes that nothing is left to be taken from the archive.
func (s *service) filled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(s.offered && s.inForce.Always())
}

// discover asks whether there is an archive. Without an answer what was known is kept.
func (s *service) discover(ctx context.Context, c stanza.Asker) error {
	ctx, cancel := context.WithTimeout(ctx, discoTimeout)
	defer cancel()
	offered, err := Offered(ctx, c, s.account)
	if _, answered := errors.AsType[*stanza.Error](err); err != nil && !answered {
		return fmt.Errorf("the server does not say whether it has an archive: %w", err)
	}
	s.mu.Lock()
	before := s.offered
	s.asked, s.offered = true, offered
	s.mu.Unlock()
	row := bridge.StateRow{Key: keyArchive}
	if offered {
		row.Value = []byte("1")
	}
	if offered != before {
		s.journal.SetState(bridge.XMPP, row)
	}
	return s.prefer(ctx, c, offered)
}

// Offered asks an account whether it has an archive (XEP-0313 §8).
func Offered(ctx context.Context, c stanza.Asker, account string) (bool, error) {
	e, err := c.Ask(ctx, account, "get", stanza.Disco)
	if err != nil {
		return false, err
	}
	return stanza.HasFeature(e, stanza.NSMAM), nil
}

// prefer has the server archive everything. What came while it was told otherwise is in its offline store alone. An
// error: the server cannot be asked now.
func (s *service) prefer(ctx context.Context, c stanza.Asker, offered bool) error {
	lasting := s.lasts() && offered
	var p Preferences
	var err error
	if offered {
		p, err = PreferencesOf(ctx, c)
	}
	lasting = lasting && err == nil && p.Always()
	if offered && !lasting && err == nil || stanza.IsAnswer(err) {
		before := p
		if p, err = askPreferences(ctx, c, "set", setAlways); err != nil {
			p = before
		}
	}
	if err != nil && !stanza.IsAnswer(err) {
		return fmt.Errorf("the server does not say what it archives: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if warn := p.String(); offered && !p.Always() && s.warned != warn {
		s.warned = warn
		s.log.Warn().Stringer("policy", p).AnErr("refused", err).Str("fix", "set default_archive_policy = true (Prosody) or mod_mam's default: always (ejabberd)").
			Msg("the server does not archive all that comes for the relay, and does not let it say so")
	}
	s.inForce = p
	if !lasting {
		s.remember(false)
	}
	return nil
}

// remember notes whether the archive has all since the cursor was set. s.mu is held.
func (s *service) remember(lasting bool) {
	if s.lasting == lasting {
		return
	}
	s.lasting = lasting
	row := bridge.StateRow{Key: keyAlways}
	if lasting {
		row.Value = []byte("1")
	}
	s.journal.SetState(bridge.XMPP, row)
}
