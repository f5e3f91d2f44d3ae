package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
)

const (
	mostListed = 500
	mostWords  = 256 // of a filter's field
)

// deliveries lists dead letters, or what waits.
func (c *Console) deliveries(w http.ResponseWriter, r *http.Request, _ Role) {
	q := r.URL.Query()
	state := State(q.Get("state"))
	limit, err := strconv.Atoi(q.Get("limit"))
	p, ok := selection(q)
	if !ok || err != nil || limit < 1 || limit > mostListed || state != StateDead && state != StateWaiting {
		fail(w, http.StatusBadRequest, "bad_request", "state is dead or waiting, limit a number up to 500, older an age such as 36h")
		return
	}
	ctx, done, err := c.read(r.Context())
	defer done()
	var found []Delivery
	if err == nil {
		found, err = c.cfg.Journal.Deliveries(ctx, state, p, limit+1)
	}
	if err != nil {
		c.failed(w, r, err)
		return
	}
	more := len(found) > limit
	answer(w, map[string]any{"deliveries": append([]Delivery{}, found[:min(limit, len(found))]...), "more": more})
}

// readTimeout is how long a look into the journal may take, and wait for the one before.
const readTimeout = 10 * time.Second

// read waits for its turn. done is to be called in any case.
func (c *Console) read(ctx context.Context) (_ context.Context, done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	select {
	case c.reading <- struct{}{}:
		return ctx, func() { <-c.reading; cancel() }, nil
	case <-ctx.Done():
		return ctx, cancel, ctx.Err()
	}
}

// selection reads a filter; an empty one means all.
func selection(q url.Values) (p admin.Selection, ok bool) {
	p = admin.Selection{Reason: q.Get("reason"), From: q.Get("sender"), To: q.Get("to")}
	if text := q.Get("older"); text != "" {
		var err error
		if p.Older, err = time.ParseDuration(text); err != nil || p.Older <= 0 {
			return p, false
		}
	}
	if text := q.Get("after"); text != "" {
		var err error
		if p.After, err = strconv.ParseUint(text, 10, 63); err != nil {
			return p, false
		}
	}
	return p, len(p.Reason) <= mostWords && len(p.From) <= mostWords && len(p.To) <= mostWords
}

// mostCounted is where counting ends: the page says "more than".
const (
	mostCounted = 20_000
	countAtOnce = 2_000
)

// countDead counts the dead letters that fit, by reason.
func (c *Console) countDead(w http.ResponseWriter, r *http.Request, _ Role) {
	p, ok := selection(r.URL.Query())
	if !ok || p.After != 0 {
		fail(w, http.StatusBadRequest, "bad_request", "older is an age such as 36h")
		return
	}
	ctx, done, err := c.read(r.Context())
	defer done()
	reasons, n := map[string]int{}, 0
	for {
		var found []Delivery
		if err == nil {
			found, err = c.cfg.Journal.Deliveries(ctx, StateDead, p, countAtOnce)
		}
		if err != nil {
			c.failed(w, r, err)
			return
		}
		for _, d := range found {
			reasons[d.Reason]++
		}
		n += len(found)
		if len(found) < countAtOnce || n >= mostCounted {
			answer(w, map[string]any{"count": n, "more": len(found) == countAtOnce, "reasons": reasons})
			return
		}
		p.After = found[len(found)-1].Seq
	}
}

// order says which dead letters are meant: some by number, those that fit a filter, or all.
type order struct {
	Refs  []string          `json:"refs"`
	Pick  map[string]string `json:"pick"`
	All   bool              `json:"all"`
	After string            `json:"after"` // of pick and all: the last batch's "next"
}

// change puts dead letters back or away: those with a number, or one batch of those that fit.
func (c *Console) change(verb string, one func(context.Context, bridge.Ref) error, some func(context.Context, admin.Selection) (admin.Batch, error)) func(http.ResponseWriter, *http.Request, Role) {
	return func(w http.ResponseWriter, r *http.Request, role Role) {
		var o order
		if !read(w, r, &o) {
			return
		}
		refs, p, ok := o.parse()
		if !ok {
			fail(w, http.StatusBadRequest, "bad_request", "say which are meant: refs, pick (reason, sender, to, older), or all")
			return
		}
		var b admin.Batch
		var err error
		if len(refs) > 0 {
			b, err = each(r.Context(), refs, one)
		} else {
			b, err = some(r.Context(), p)
		}
		if b.Changed > 0 {
			meant := strings.Join(o.Refs, " ")
			if meant == "" {
				meant = p.Query()
			}
			c.cfg.Log.Info().Str("done", verb).Int("deliveries", b.Changed).Str("meant", meant).Stringer("peer", peer(r)).Str("role", string(role)).
				Msg("dead letters changed in the console")
		}
		if err != nil {
			c.failed(w, r, err)
			return
		}
		answer(w, map[string]any{"changed": b.Changed, "next": strconv.FormatUint(b.Next, 10), "full": b.Full})
	}
}

// parse: exactly one of the three says which, so that nothing is dropped by a slip.
func (o order) parse() (refs []bridge.Ref, p admin.Selection, ok bool) {
	for _, text := range o.Refs {
		ref, err := admin.ParseRef(text)
		if err != nil {
			return nil, p, false
		}
		refs = append(refs, ref)
	}
	q := url.Values{}
	for name, value := range o.Pick {
		if name != "reason" && name != "sender" && name != "to" && name != "older" || value == "" {
			return nil, p, false
		}
		q.Set(name, value)
	}
	q.Set("after", o.After)
	p, ok = selection(q)
	fits := p.Reason != "" || p.From != "" || p.To != "" || p.Older > 0
	ways := 0
	for _, way := range []bool{len(refs) > 0, fits, o.All} {
		if way {
			ways++
		}
	}
	return refs, p, ok && ways == 1
}

// each changes those that are still dead: another one may have been quicker.
func each(ctx context.Context, refs []bridge.Ref, do func(context.Context, bridge.Ref) error) (b admin.Batch, err error) {
	for _, ref := range refs {
		switch err := do(ctx, ref); {
		case errors.Is(err, admin.ErrNoDeadLetter):
		case err != nil:
			return b, err
		default:
			b.Changed++
		}
	}
	return b, nil
}

// failed answers that the journal did not.
func (c *Console) failed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("it is busy: try again, with a filter or without")
	}
	if r.Context().Err() != nil {
		return // nobody waits for it
	}
	fail(w, http.StatusServiceUnavailable, "journal", err.Error())
}
