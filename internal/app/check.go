package app

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"

	"github.com/rs/zerolog"

	"chatrelay/configs"
	"chatrelay/internal/journal"
	"chatrelay/mqttside"
	"chatrelay/xmppside"
)

// Check tries what the configuration names and says of each step ok or how to mend it. It may run beside a relay that
// works.
func Check(p Process) error {
	flags, asJSON := checkFlags()
	if helped, err := p.parse(flags, p.Args, checkUsage); helped || err != nil {
		return err
	}
	p.Args = flags.Args()
	if err := p.noArguments("check"); err != nil {
		return err
	}
	return report(p.Out, check(p), *asJSON)
}

func checkFlags() (flags *flag.FlagSet, asJSON *bool) {
	flags = flag.NewFlagSet("check", flag.ContinueOnError)
	return flags, flags.Bool("json", false, "write one JSON document instead of lines")
}

func check(p Process) []step {
	c, err := configs.Load(p.Environ)
	if err != nil {
		return unusable(err)
	}
	ctx, _, release := signals()
	defer release()
	steps := []step{{name: "configuration", ok: true, note: fmt.Sprintf("%d rooms, %d identity rows", len(c.Groups), len(c.Identity))}}
	for _, w := range c.Warnings() {
		steps = append(steps, step{name: w.Variable, note: w.Wrong + ": " + w.Remedy})
	}
	page, running := checkHTTP(ctx, &c.HTTP)
	steps = append(steps, checkStore(&c), page)
	steps = append(steps, checkSides(ctx, &c, p.Version, running)...)
	return append(steps, checkGroups(&c)...)
}

// unusable is a step for each problem of the configuration.
func unusable(err error) (steps []step) {
	problems, ok := errors.AsType[configs.Problems](err)
	if !ok {
		return []step{{"configuration", false, true, err.Error()}}
	}
	for _, one := range problems {
		steps = append(steps, step{one.Variable, false, true, one.Wrong + ": " + one.Remedy})
	}
	return steps
}

// checkHTTP tries to listen where the status page will be. A relay that runs with this environment is there already.
func checkHTTP(ctx context.Context, c *configs.HTTP) (_ step, running bool) {
	s := step{name: "status page " + c.Addr, ok: true}
	l, err := net.Listen("tcp", c.Addr)
	if err == nil {
		if err := l.Close(); err != nil {
			s.note = err.Error()
		}
		return s, false
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		asked, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if body, why := ask(asked, c, http.MethodGet, "/livez", ""); why == nil && bytes.Contains(body, []byte(`"ok"`)) {
			s.note = "a relay answers there already"
			return s, true
		}
	}
	s.ok, s.fatal, s.note = false, true, err.Error()+": choose another address in CHATRELAY_HTTP_ADDR, or stop what listens there"
	return s, false
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
	case errors.Is(err, os.ErrNotExist) && !errors.Is(err, journal.ErrDamaged):
		s.note = "no journal yet: one is made at the first start"
		return s
	case err != nil: // damaged, or written by a newer version: a start would be refused too
		return step{s.name, false, true, err.Error()}
	}
	s.note = "there is a journal"
	if err := r.Close(); err != nil {
		s.note = err.Error()
	}
	return s
}

func checkSides(ctx context.Context, c *configs.Config, version string, running bool) (out []step) {
	files := func() *configs.Files { return &c.Files }
	mc, err1 := mqttConfig(c, files, zerolog.Nop())
	xc, err2 := xmppConfig(c, files, version, zerolog.Nop())
	if err := errors.Join(err1, err2); err != nil {
		return []step{{"configuration", false, true, err.Error()}}
	}
	for _, s := range mqttside.Check(ctx, mc) {
		out = append(out, step{s.Name, s.OK, s.Fatal, s.Note})
	}
	if running && xc.Component {
		return append(out, step{name: "xmpp login", ok: true, note: "not tried: a relay runs, and a second connection of the component would take messages from it"})
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
