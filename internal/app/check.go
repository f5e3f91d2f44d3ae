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
	"slices"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/configs"
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

func check(p Process) []bridge.Step {
	c, err := configs.Load(p.Environ)
	if err != nil {
		return unusable(err)
	}
	ctx, _, release := signals()
	defer release()
	steps := []bridge.Step{{Name: "configuration", OK: true, Note: fmt.Sprintf("%d rooms, %d identity rows", len(c.Groups), len(c.Identity))}}
	for _, w := range c.Warnings() {
		steps = append(steps, bridge.Step{Name: w.Variable, Note: w.Wrong, Fix: w.Remedy})
	}
	page, running := checkHTTP(ctx, &c.HTTP)
	steps = append(steps, checkStore(&c), checkSpace(&c.Store), page)
	steps = append(steps, checkSides(ctx, &c, p.Version, running)...)
	return append(steps, checkGroups(&c)...)
}

// unusable is a step for each problem of the configuration.
func unusable(err error) (steps []bridge.Step) {
	problems, ok := errors.AsType[configs.Problems](err)
	if !ok {
		return []bridge.Step{{Name: "configuration", Fatal: true, Note: err.Error()}}
	}
	for _, one := range problems {
		steps = append(steps, bridge.Step{Name: one.Variable, Fatal: true, Note: one.Wrong, Fix: one.Remedy})
	}
	return steps
}

// checkHTTP tries to listen where the status page will be. A relay that runs with this environment is there already.
func checkHTTP(ctx context.Context, c *configs.HTTP) (_ bridge.Step, running bool) {
	s := bridge.Step{Name: "status page " + c.Addr, OK: true}
	l, err := net.Listen("tcp", c.Addr)
	if err == nil {
		if err := l.Close(); err != nil {
			s.Note = err.Error()
		}
		return s, false
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		asked, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if body, why := ask(asked, c, http.MethodGet, "/livez", ""); why == nil && bytes.Contains(body, []byte(`"ok"`)) {
			s.Note = "a relay answers there already"
			return s, true
		}
	}
	s.OK, s.Fatal, s.Note = false, true, err.Error()
	s.Fix = "choose another address in CHATRELAY_HTTP_ADDR, or stop what listens there"
	return s, false
}

func checkSides(ctx context.Context, c *configs.Config, version string, running bool) (out []bridge.Step) {
	files := func() *configs.Files { return &c.Files }
	mc, err1 := mqttConfig(c, files, zerolog.Nop())
	xc, err2 := xmppConfig(c, files, version, zerolog.Nop())
	if err := errors.Join(err1, err2); err != nil {
		return []bridge.Step{{Name: "configuration", Fatal: true, Note: err.Error()}}
	}
	var ends expiry
	mc.Verified, xc.Verified = ends.seenOf("mqtt"), ends.seenOf("xmpp")
	out = mqttside.Check(ctx, mc)
	if running && xc.Component {
		out = append(out, bridge.Step{Name: "xmpp login", OK: true, Note: "not tried: a relay runs, and a second connection of the component would take messages from it"})
	} else {
		out = append(out, xmppside.Check(ctx, xc)...)
	}
	return append(out, checkCertificates(ends.all(c.MQTTCertificates), time.Now())...)
}

// checkGroups warns of rooms without rows: nobody's inbox gets what is said there, and by MQTT only those may post whom
// the relay sees in the room.
func checkGroups(c *configs.Config) (out []bridge.Step) {
	for _, room := range slices.Sorted(maps.Keys(c.Groups)) {
		if len(c.Groups[room]) > 0 {
			continue
		}
		note := "it has no row: no inbox gets its messages"
		if c.Messages.GroupSenders == configs.GroupMembers {
			note += ", and it is open to MQTT senders only while they are seen there"
		}
		out = append(out, bridge.Step{Name: "group " + room, Note: note, Fix: "write its members into CHATRELAY_GROUPS_FILE"})
	}
	return out
}
