package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/rs/zerolog"

	"chatrelay/configs"
	"chatrelay/internal/journal"
	"chatrelay/mqttside"
	"chatrelay/xmppside"
)

var errCheck = errors.New("the relay could not run like this")

// step is one thing that was tried.
type step struct {
	name  string
	ok    bool
	fatal bool   // the relay cannot run without it
	note  string // when ok: what was found; else what is wrong and how to mend it
}

// Check tries what the configuration names and says of each step ok or how to mend it. Only what stops the relay is
// an error. It may run beside a relay that works.
func Check(p Process) error {
	if err := p.noArguments("check"); err != nil {
		return err
	}
	c, err := configs.Load(p.Environ)
	if err != nil {
		return err
	}
	ctx, _, release := signals()
	defer release()
	steps := []step{{name: "configuration", ok: true, note: fmt.Sprintf("%d rooms, %d identity rows", len(c.Groups), len(c.Identity))}}
	steps = append(steps, checkStore(&c))
	steps = append(steps, checkSides(ctx, &c, p.Version)...)
	steps = append(steps, checkGroups(&c)...)
	return report(p.Out, steps)
}

// checkStore opens the journal for looking only: a relay may have it in its hands.
func checkStore(c *configs.Config) step {
	s := step{name: "store " + c.Store.Dir, ok: true}
	if why := storageWarning(c.Store.Dir); why != "" {
		s.ok, s.note = false, "CHATRELAY_STORE "+why
		return s
	}
	if err := writable(c.Store.Dir); err != nil {
		return step{s.name, false, true, "CHATRELAY_STORE cannot be written to: " + err.Error()}
	}
	r, err := journal.OpenReadOnly(c.Store.Dir)
	switch {
	case errors.Is(err, journal.ErrDamaged):
		return step{s.name, false, true, err.Error()}
	case err != nil:
		s.note = "no journal yet: one is made at the first start"
		return s
	}
	s.note = "there is a journal"
	if err := r.Close(); err != nil {
		s.note = err.Error()
	}
	return s
}

func checkSides(ctx context.Context, c *configs.Config, version string) (out []step) {
	files := func() *configs.Files { return &c.Files }
	mc, err1 := mqttConfig(c, files, zerolog.Nop())
	xc, err2 := xmppConfig(c, files, version, zerolog.Nop())
	if err := errors.Join(err1, err2); err != nil {
		return []step{{"configuration", false, true, err.Error()}}
	}
	for _, s := range mqttside.Check(ctx, mc) {
		out = append(out, step{s.Name, s.OK, s.Fatal, s.Note})
	}
	for _, s := range xmppside.Check(ctx, xc) {
		out = append(out, step{s.Name, s.OK, s.Fatal, s.Note})
	}
	return out
}

// checkGroups warns of rooms without rows: nobody's inbox gets what is said there, and by MQTT only those may post whom
// the relay sees in the room.
func checkGroups(c *configs.Config) (out []step) {
	for _, room := range slices.Sorted(maps.Keys(c.Groups)) {
		if len(c.Groups[room]) > 0 {
			continue
		}
		note := "no row in CHATRELAY_GROUPS_FILE: no inbox gets its messages"
		if c.Messages.GroupSenders == configs.GroupMembers {
			note += ", and it is open to MQTT senders only while they are seen there"
		}
		out = append(out, step{name: "group " + room, note: note})
	}
	return out
}

func report(w io.Writer, steps []step) error {
	var failed error
	for _, s := range steps {
		word := "ok  "
		switch {
		case !s.ok && s.fatal:
			word, failed = "FAIL", errCheck
		case !s.ok:
			word = "warn"
		}
		line := word + "  " + s.name
		if s.note != "" {
			line += ": " + s.note
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return failed
}
