package app

import (
	"context"
	"io"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/configs"
	"chatrelay/internal/admin"
	"chatrelay/internal/admin/console"
	"chatrelay/internal/journal"
)

// newTail keeps the log's end where there is a console to show it; nil: there is none.
func newTail(c *configs.Config) *console.Tail {
	if c.Console.Secret() == nil && c.Console.ReadSecret() == nil {
		return nil
	}
	return &console.Tail{}
}

// besides is where the log goes to beside its main writer.
func besides(tail *console.Tail) []io.Writer {
	if tail == nil {
		return nil
	}
	return []io.Writer{tail}
}

// openConsole makes the page for people, where one is configured.
func (r *relay) openConsole(c *configs.Config, tail *console.Tail, log zerolog.Logger) (err error) {
	if tail == nil {
		return nil
	}
	r.console, err = console.New(console.Config{
		Token: c.Console.Secret(), ReadToken: c.Console.ReadSecret(), Hosts: c.Console.Hosts,
		Status: func() admin.Status { return r.http.Status() }, Took: func() (map[string][]admin.Bucket, error) { return r.timings.Buckets(admin.DeliverySeconds) },
		Trace:    tracer{traceDir(c), running{r.journal}}.Trace,
		Journal:  consoleJournal{deadLetters{r.journal, r.meter.happened}},
		Settings: func() []console.Setting { return settings(c) }, Tail: tail, Log: log,
	})
	return err
}

func settings(c *configs.Config) []console.Setting {
	all := c.Settings()
	out := make([]console.Setting, len(all))
	for i, s := range all {
		out[i] = console.Setting(s)
	}
	return out
}

// consoleJournal shows the journal to the console.
type consoleJournal struct{ deadLetters }

// Deliveries implements console.Journal.
func (j consoleJournal) Deliveries(ctx context.Context, state console.State, p admin.Selection, limit int) ([]console.Delivery, error) {
	f := filterOf(p)
	f.Dead, f.Pending, f.Limit = state == console.StateDead, state == console.StateWaiting, limit
	found, err := j.j.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]console.Delivery, len(found))
	for i, e := range found {
		out[i] = delivery(e)
	}
	return out, nil
}

// DeadCount implements console.Journal.
func (j consoleJournal) DeadCount() int64 {
	n, _ := j.j.DeadLetters()
	return n
}

func delivery(e journal.DeliveryInfo) console.Delivery {
	return console.Delivery{
		Seq: e.Seq, Ref: e.Ref.String(), At: e.At, Side: e.Side.String(), Kind: kindWord(e.Kind), From: e.From, To: e.To,
		State: e.State, Reason: e.Reason, Text: e.Text, Attempts: e.Attempts, Bytes: e.Size,
	}
}

func kindWord(k bridge.Kind) string {
	switch k {
	case bridge.KindCopy:
		return "copy"
	case bridge.KindRoom:
		return "room"
	case bridge.KindNotice:
		return "notice"
	case bridge.KindReceipt:
		return "receipt"
	case bridge.KindError:
		return "error"
	}
	return "message"
}
