package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/configs"
	"chatrelay/internal/admin"
	"chatrelay/internal/admin/console"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
	"chatrelay/message"
	"chatrelay/mqttside"
	"chatrelay/xmppside"
)

// Hooks let the fault suite stand between the packages: each wraps what one is given of another. The zero
// value wraps nothing.
type Hooks struct {
	Appender    func(bridge.Appender) bridge.Appender
	Queue       func(bridge.Queue) bridge.Queue
	SideJournal func(bridge.SideID, bridge.SideJournal) bridge.SideJournal
	Side        func(bridge.Side) bridge.Side
}

// stopMargin is how much longer than its drain time a stop may take before it is forced.
const stopMargin = 5 * time.Second

// Run is the relay, until SIGTERM or a hopeless error.
func Run(p Process) error { return RunWith(p, Hooks{}) }

// RunWith is Run with something between the rooms.
func RunWith(p Process, hooks Hooks) error {
	if err := p.noArguments("run"); err != nil {
		return err
	}
	c, err := configs.Load(p.Environ)
	if err != nil {
		return err
	}
	tail := newTail(&c)
	log, err := logger(&c.Log, p.Err, terminal(p.Err), besides(tail)...)
	if err != nil {
		return err
	}
	ctx, force, release := signals()
	defer release()
	again, done := newReloader(&c, log)
	defer done()
	r, err := assemble(ctx, &c, p.Version, tail, log, hooks)
	if err != nil {
		return err
	}
	again.apply, r.reloader = r.use, again
	for _, w := range c.Warnings() {
		log.Warn().Str("variable", w.Variable).Str("problem", w.Wrong).Str("fix", w.Remedy).Msg("a setting is not as it should be")
	}
	log.Info().Str("version", p.Version).Str("status_page", r.http.Addr()).Str("store", c.Store.Dir).
		Int("rooms", len(c.Groups)).Int64("max_pending", r.journal.Totals().MaxDeliveries).Msg("chatrelay starts")
	l := group{stages: r.stages(), stopPolicy: stopPolicy{grace: c.Process.Drain + stopMargin, force: force, fatal: r.journal.Fatal()}}
	err = l.run(ctx)
	if errors.Is(err, errForced) {
		return err // parts still run: the journal is read as after kill -9
	}
	err = errors.Join(err, r.journal.Close(), r.meter.trace.Close())
	log.Info().Err(err).Msg("chatrelay has stopped")
	return err
}

// relay is all rooms, wired.
type relay struct {
	files       atomic.Pointer[configs.Files]    // in force; replaced as a whole
	directory   atomic.Pointer[bridge.Directory] // the same, for the bridge
	reloader    *reloader
	journal     *journal.Journal
	queue       bridge.Queue
	sides       []bridge.Side
	intakes     map[bridge.SideID]*bridge.Intake
	dispatchers []*bridge.Dispatcher
	rooms       *xmppside.Side
	windows     map[bridge.SideID]func() int
	timings     *admin.Timings
	meter       *meter
	expiry      expiry
	losses      losses
	http        *admin.Server
	console     *console.Console // nil: there is none
}

// assemble opens the journal and wires the rooms; nothing connects yet.
func assemble(ctx context.Context, c *configs.Config, version string, tail *console.Tail, log zerolog.Logger, hooks Hooks) (_ *relay, err error) {
	if why := storageWarning(c.Store.Dir); why != "" {
		log.Warn().Str("store", c.Store.Dir).Msg("CHATRELAY_STORE " + why)
	}
	r := &relay{intakes: map[bridge.SideID]*bridge.Intake{}, timings: admin.NewTimings()}
	r.meter = newMeter(r.timings.Observe, time.Now)
	r.meter.log = log
	r.files.Store(&c.Files)
	var untraced error
	age := c.Store.DedupWindow + c.Store.DedupWindow/4 // as long as a key may be known: its window, and a quarter more
	r.meter.trace, untraced = openTrace(c, trace.Options{MaxAge: age, Clock: time.Now, Log: log})
	kept := journalOptions(c, log)
	kept.Chosen = r.meter.chosen
	if r.journal, err = journal.Open(ctx, kept); err != nil {
		return nil, fmt.Errorf("CHATRELAY_STORE: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.journal.Close())
		}
	}()
	if untraced != nil {
		return nil, fmt.Errorf("CHATRELAY_STORE: %w", untraced)
	}
	if err := r.openSides(c, version, log, hooks); err != nil {
		return nil, err
	}
	if err := r.openBridge(c, log, hooks); err != nil {
		return nil, err
	}
	if err := r.openConsole(c, tail, log); err != nil {
		return nil, err
	}
	page := admin.Config{
		Addr: c.HTTP.Addr, Loopback: c.HTTP.Loopback(), Token: c.HTTP.Secret(), Version: version,
		Sides: r.shownSides(), Rooms: r.rooms, Balance: r.journal, Offers: offers(r.intakes), Dead: deadLetters{r.journal, r.meter.happened},
		Trace:   tracer{traceDir(c), running{r.journal}}.Trace,
		Losses:  r.losses.all,
		Timings: r.timings, InFlight: r.meter.InFlight, Window: func(side bridge.SideID) int { return r.windows[side]() },
		Certificates: func() map[string]time.Time { return r.expiry.all(r.files.Load().MQTTCertificates) },
		Alive:        func() error { return alive(r.journal) }, Clock: time.Now, Log: log,
	}
	if r.console != nil {
		page.Console = r.console
	}
	r.http, err = admin.New(page)
	return r, err
}

// journalOptions are the same for the relay and for who changes its journal while it is away: neither may leave more in it
// than the relay can start with.
func journalOptions(c *configs.Config, log zerolog.Logger) journal.Options {
	n, most := c.Messages.Notices, c.Store.MaxPending
	if limit := memoryLimit(machine(), os.Getenv, log); most == 0 {
		most = maxPending(limit, c.Store.DedupMaxKeys)
	}
	return journal.Options{
		Dir: c.Store.Dir, Sync: c.Store.Sync, MaxBytes: int64(c.Store.MaxBytes), MaxPending: most,
		DedupWindow: c.Store.DedupWindow, DedupMaxKeys: c.Store.DedupMaxKeys,
		Notices: bridge.Notices(n), Log: log,
	}
}

// openSides makes the two counters; all that is wrong with either is said at once.
func (r *relay) openSides(c *configs.Config, version string, log zerolog.Logger, hooks Hooks) error {
	sideJournal := func(id bridge.SideID) bridge.SideJournal {
		metered := meteredSideJournal{r.journal, id, r.meter}
		if hooks.SideJournal != nil {
			return hooks.SideJournal(id, metered)
		}
		return metered
	}
	mc, err1 := mqttConfig(c, r.files.Load, log)
	mc.Present = func(landline string, p bridge.Presence) { r.rooms.Present(landline, p) } // it runs behind this function
	mc.HasSpace, mc.Verified = r.journal.HasSpace, r.expiry.seen("mqtt_broker")
	xc, err2 := xmppConfig(c, r.files.Load, version, log)
	xc.Verified = r.expiry.seen("xmpp_server")
	mc.Lost, xc.Lost = r.losses.of(bridge.MQTT), r.losses.of(bridge.XMPP)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	m, err1 := mqttside.New(mc, sideJournal(bridge.MQTT))
	x, err2 := xmppside.New(xc, sideJournal(bridge.XMPP))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	r.rooms, r.windows = x, map[bridge.SideID]func() int{bridge.MQTT: m.Window, bridge.XMPP: x.Window}
	for _, s := range []bridge.Side{m, x} {
		if hooks.Side != nil {
			s = hooks.Side(s)
		}
		r.sides = append(r.sides, s)
	}
	return nil
}

func (r *relay) openBridge(c *configs.Config, log zerolog.Logger, hooks Hooks) error {
	landline, err := c.Messages.Landline()
	if err != nil {
		return err
	}
	var appender bridge.Appender = meteredAppender{r.journal, r.meter}
	if hooks.Appender != nil {
		appender = hooks.Appender(appender)
	}
	r.queue = meteredQueue{r.journal, r.meter}
	if hooks.Queue != nil {
		r.queue = hooks.Queue(r.queue)
	}
	r.directory.Store(bridge.NewDirectory(c.Groups).With(r.rooms))
	n, senders := c.Messages.Notices, bridge.NewSenders(r.directory.Load, nil)
	if c.Messages.GroupSenders == configs.GroupMembers {
		senders = bridge.NewSenders(r.directory.Load, r.rooms)
	}
	for _, s := range r.sides {
		r.intakes[s.ID()] = bridge.NewIntake(bridge.IntakeConfig{
			Side: s.ID(), Directory: r.directory.Load, Senders: senders, Journal: appender, Log: log,
			Rules: message.Rules{MaxBytes: int(c.Messages.MaxMessage), Landline: landline, Own: c.XMPP.Account()},
			May:   c.May(func() map[string]string { return r.files.Load().Identity }), Rate: c.Messages.SenderRate,
			Notices: bridge.Notices(n), Events: r.eventsFrom(s.ID(), c),
		})
		r.dispatchers = append(r.dispatchers, bridge.NewDispatcher(r.queue, s, senders, nil, log))
	}
	return nil
}

// eventsFrom is where the events of a side go; nil: people's clients show none of them.
func (r *relay) eventsFrom(id bridge.SideID, c *configs.Config) bridge.Ephemeral {
	if !c.XMPP.Text() {
		return nil
	}
	for _, other := range r.sides {
		if e, ok := other.(bridge.Ephemeral); ok && other.ID() != id {
			return e
		}
	}
	return nil
}

func mqttConfig(c *configs.Config, files func() *configs.Files, log zerolog.Logger) (mqttside.Config, error) {
	landline, err := c.Messages.Landline()
	return mqttside.Config{
		URLs: c.MQTT.Addresses(), Username: c.MQTT.Username, Password: c.MQTT.Secret(), ClientID: c.MQTT.ClientID,
		Roots:        func() *x509.CertPool { return files().MQTTRoots },
		Certificates: func() []tls.Certificate { return files().MQTTCertificates },
		QoS:          byte(c.MQTT.QoS), Window: int(c.MQTT.Window), Version: c.MQTT.Level(), SessionExpiry: c.MQTT.SessionExpiry, Prefix: c.MQTT.Prefix, Presence: c.MQTT.Presence, StatusTopic: c.MQTT.Topic(),
		MaxMessage: int(c.Messages.MaxMessage), Drain: c.Process.Drain, Landline: landline, Own: c.XMPP.Account(), Log: log,
	}, err
}

func xmppConfig(c *configs.Config, files func() *configs.Files, version string, log zerolog.Logger) (xmppside.Config, error) {
	landline, err := c.Messages.Landline()
	return xmppside.Config{
		Component: c.XMPP.Component(), Clients: xmppside.Clients{Texts: c.XMPP.Text(), Rooms: c.AllRoomTalk(), Presence: c.MQTT.Presence != "", Received: c.Messages.Notices.Received, Read: c.Messages.Notices.Read}, JID: c.XMPP.JID, Password: c.XMPP.Secret(), Addr: c.XMPP.Addr, TLS: c.XMPP.Security(), Roots: func() *x509.CertPool { return files().XMPPRoots },
		UserDomain: c.XMPP.Domain(), Resource: c.XMPP.Resource, Nick: c.XMPP.Nick,
		Rooms: slices.Sorted(maps.Keys(c.Groups)), Identity: c.Identity, Trusted: c.Messages.Trusted, Landline: landline,
		MaxMessage: int(c.Messages.MaxMessage), Version: version, Drain: c.Process.Drain, Log: log,
	}, err
}

// stages are told to stop one after the other: the sides leave while the bridge still takes and hands out.
func (r *relay) stages() [][]part {
	var counters, room []part
	for i, s := range r.sides {
		in := r.intakes[s.ID()]
		counters = append(counters, part{s.ID().String(), func(ctx context.Context) error { return s.Run(ctx, in) }})
		room = append(room, part{s.ID().String() + " intake", in.Run}, part{s.ID().String() + " dispatcher", r.dispatchers[i].Run})
	}
	room = append(room, part{"watch", func(ctx context.Context) error { return bridge.Watch(ctx, r.queue, nil) }})
	last := []part{{"status page", r.http.Run}, {"reload", r.reloader.run}, {"trace", r.meter.trace.Run}}
	if r.console != nil {
		last = append(last, part{"console", r.console.Run})
	}
	return [][]part{counters, room, last}
}

func (r *relay) shownSides() []admin.Side {
	out := make([]admin.Side, len(r.sides))
	for i, s := range r.sides {
		out[i] = s
	}
	return out
}

// offers is the intakes' counters.
type offers map[bridge.SideID]*bridge.Intake

// Offered implements admin.OfferCounter.
func (d offers) Offered(side bridge.SideID) int64 { return d[side].Offered() }

const aliveWithin = 2 * time.Second

// alive asks the writer for an answer, whatever it is: a disk without room is no reason for a restart, and a broken
// journal ends the process by itself (journal.Fatal).
func alive(j *journal.Journal) error {
	ctx, cancel := context.WithTimeout(context.Background(), aliveWithin)
	defer cancel()
	if err := j.Ping(ctx); err != nil && ctx.Err() != nil {
		return fmt.Errorf("its writer has not answered for %v", aliveWithin)
	}
	return nil
}

// terminal tells whether a person reads along.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != ""
}
