package app

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"chatrelay/configs"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
)

// journalView is the journal, of this process or of another one.
type journalView interface {
	Known(ctx context.Context, msg uint64) (journal.MessageInfo, error)
	List(ctx context.Context, f journal.Filter) ([]journal.DeliveryInfo, error)
}

// running is the journal of this process.
type running struct{ *journal.Journal }

func (r running) Known(ctx context.Context, msg uint64) (journal.MessageInfo, error) {
	return journal.Known(ctx, r.Journal, msg)
}

// tracer follows messages: by what was written down of them, and by what the journal has of them now.
type tracer struct {
	dir     string
	journal journalView
}

// Trace finds messages; the newest comes last. Where nothing is known it gives none.
func (t tracer) Trace(ctx context.Context, q trace.Query) ([]*trace.Message, error) {
	found, err := trace.Find(ctx, t.dir, q)
	if err != nil {
		return nil, err
	}
	more, err := t.unwritten(ctx, &q, found)
	if err != nil {
		return nil, err
	}
	found = append(more, found...)
	for _, m := range found {
		if err := t.complete(ctx, m); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(found, func(a, b *trace.Message) int { return a.At.Compare(b.At) })
	return found, nil
}

// unwritten are the messages of which the journal alone knows: from before the trace was written, or longer ago than it goes back.
func (t tracer) unwritten(ctx context.Context, q *trace.Query, found []*trace.Message) (more []*trace.Message, err error) {
	var numbers []uint64
	text, _, _ := strings.Cut(q.Text, ".")
	if n, err := strconv.ParseUint(text, 10, 63); err == nil && n > 0 {
		switch _, err := t.journal.Known(ctx, n); {
		case err == nil:
			numbers = append(numbers, n)
		case !errors.Is(err, journal.ErrUnknown):
			return nil, err
		}
	}
	for _, f := range []journal.Filter{{From: q.Text}, {To: q.Text}} {
		listed, err := t.journal.List(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, d := range listed {
			if !d.At.Before(q.Since) && (q.Until.IsZero() || !d.At.After(q.Until)) {
				numbers = append(numbers, d.Ref.Msg)
			}
		}
	}
	slices.Sort(numbers)
	for _, n := range slices.Compact(numbers) {
		if !slices.ContainsFunc(found, func(m *trace.Message) bool { return m.Number == n }) {
			more = append(more, &trace.Message{Number: n})
		}
	}
	return more, nil
}

// complete adds what the journal has of a message.
func (t tracer) complete(ctx context.Context, m *trace.Message) error {
	if m.Number == 0 {
		return nil
	}
	k, err := t.journal.Known(ctx, m.Number)
	if errors.Is(err, journal.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Stations == nil {
		m.At, m.From, m.State, m.Stations = k.At, k.From, trace.StateKnown, []trace.Station{}
		if k.Origin != 0 {
			m.Origin = k.Origin.String()
		}
	}
	waiting, wired, dead := false, false, false
	for _, d := range k.Deliveries {
		m.Open = append(m.Open, trace.Delivery{Ref: d.Ref.String(), Side: d.Side.String(), Kind: trace.KindWord(d.Kind), To: d.To,
			State: d.State, Reason: d.Reason, Text: d.Text, Attempts: d.Attempts})
		if !d.Kind.IsMessage() {
			continue
		}
		if !slices.Contains(m.To, d.To) {
			m.To = append(m.To, d.To)
		}
		waiting, wired, dead = waiting || d.State == "pending", wired || d.State == "bound", dead || d.State == "dead"
	}
	switch { // the journal's word counts
	case wired:
		m.State = trace.StateOnWire
	case waiting:
		m.State = trace.StateWaiting
	case dead:
		m.State = trace.StateDead
	}
	return nil
}

const traceUsageLine = "trace [-json] [-since WHEN] [-until WHEN] [-limit N] ID | MESSAGE | LANDLINE-OR-ROOM"

type traceOptions struct {
	json         bool
	since, until string
	limit        int
}

func traceFlags() (*flag.FlagSet, *traceOptions) {
	flags, o := flag.NewFlagSet("trace", flag.ContinueOnError), &traceOptions{}
	flags.BoolVar(&o.json, "json", false, "write one JSON document")
	flags.StringVar(&o.since, "since", "", "those of which something was heard since `WHEN`: an age such as 2h, or a time such as 2026-11-30T14:05 (UTC)")
	flags.StringVar(&o.until, "until", "", "and before `WHEN`")
	flags.IntVar(&o.limit, "limit", 20, "at most so many, the newest")
	return flags, o
}

// Trace tells what happened to a message, beside a running relay or without one.
func Trace(p Process) error {
	flags, o := traceFlags()
	if helped, err := p.parse(flags, p.Args, traceUsageLine); helped || err != nil {
		return err
	}
	if flags.NArg() != 1 || flags.Arg(0) == "" || o.limit < 1 {
		return fmt.Errorf("%w: %s", errUsage, traceUsageLine)
	}
	q := trace.Query{Text: flags.Arg(0), Limit: o.limit}
	if err := q.Between(o.since, o.until, time.Now()); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	c, err := configs.Load(p.Environ)
	if err := configs.About(err, "STORE", "TRACE"); err != nil {
		return err
	}
	if c.Store.Dir == "memory" {
		return fmt.Errorf("%w: CHATRELAY_STORE is memory: nothing is kept of messages", errUsage)
	}
	ctx, _, release := signals()
	defer release()
	r, err := journal.OpenReadOnly(c.Store.Dir)
	if err != nil {
		return err
	}
	found, err := tracer{c.Store.Dir, r}.Trace(ctx, q)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if o.json {
		return traceJSON(p.Out, found)
	}
	if len(found) == 0 {
		return fmt.Errorf("nothing is known of %q: no message with this number, this id of its sender's, or from or to this landline", q.Text)
	}
	return traceText(p.Out, found)
}

func traceJSON(out io.Writer, found []*trace.Message) error {
	if found == nil {
		found = []*trace.Message{}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"messages": found})
}

// traceText writes messages for people: each with all its stations.
func traceText(out io.Writer, found []*trace.Message) error {
	for i, m := range found {
		if i > 0 {
			if _, err := fmt.Fprintln(out); err != nil {
				return err
			}
		}
		if err := traceOne(out, m); err != nil {
			return err
		}
	}
	return nil
}

func traceOne(out io.Writer, m *trace.Message) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintf(w, "message %s: %s\n", traceTitle(m), m.State)
	for i := range m.Stations {
		if err != nil {
			return err
		}
		s := &m.Stations[i]
		_, err = fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.At.UTC().Format("2006-01-02T15:04:05.000Z"), orDash(s.Delivery), s.Event, s.Text())
	}
	for _, d := range m.Open {
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s to %s on %s", d.Kind, d.To, d.Side)
		if d.Attempts > 0 {
			text += fmt.Sprintf(", %d attempts", d.Attempts)
		}
		for _, more := range []string{d.Reason, d.Text} {
			if more != "" {
				text += ": " + more
			}
		}
		_, err = fmt.Fprintf(w, "  now\t%s\t%s\t%s\n", d.Ref, d.State, text)
	}
	return errors.Join(err, w.Flush())
}

func traceTitle(m *trace.Message) string {
	title := "(no number)"
	if m.Number != 0 {
		title = strconv.FormatUint(m.Number, 10)
	}
	if m.From != "" {
		title += " from " + m.From
	}
	if len(m.To) > 0 {
		title += " to " + strings.Join(m.To, ", ")
	}
	if m.Origin != "" {
		title += " by " + m.Origin
	}
	if m.ID != "" {
		title += fmt.Sprintf(", id %q", m.ID)
	}
	return title
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// traceDir is where it stands what happened to messages: beside the journal. Empty: nowhere.
func traceDir(c *configs.Config) string {
	if c.Store.Dir == "memory" {
		return ""
	}
	return c.Store.Dir
}

// openTrace makes what is written down of messages, beside the journal.
func openTrace(c *configs.Config, o trace.Options) (*trace.Recorder, error) {
	o.Dir, o.MaxBytes = traceDir(c), int64(c.Store.TraceMaxBytes)
	return trace.Open(o)
}
