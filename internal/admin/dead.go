package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chatrelay/bridge"
)

const mostListed = 1000

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	limit := 100
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostListed {
			fail(w, http.StatusBadRequest, fmt.Sprintf("limit is a number from 1 to %d", mostListed))
			return
		}
		limit = n
	}
	found, err := s.cfg.Dead.DeadLetters(r.Context(), limit)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if found == nil {
		found = []DeadLetter{}
	}
	answer(w, http.StatusOK, map[string]any{"dead": found})
}

func (s *Server) change(done string, do func(context.Context, bridge.Ref) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ref, err := ParseRef(r.PathValue("ref"))
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		switch err := do(r.Context(), ref); {
		case errors.Is(err, ErrNoDeadLetter):
			fail(w, http.StatusNotFound, err.Error())
		case err != nil:
			fail(w, http.StatusServiceUnavailable, err.Error())
		default:
			s.cfg.Log.Info().Stringer("ref", ref).Str("done", done).Msg("dead letter changed by hand")
			answer(w, http.StatusOK, map[string]string{"ref": ref.String(), "done": done})
		}
	}
}

// changeSome changes a batch of those that the query selects; its answer says where the next batch begins.
func (s *Server) changeSome(done string, do func(context.Context, Selection) (Batch, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := parseSelection(r.URL.Query())
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		b, err := do(r.Context(), p)
		if err != nil {
			fail(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		if b.Changed > 0 {
			s.cfg.Log.Info().Str("done", done).Int("deliveries", b.Changed).Msg("dead letters changed by hand")
		}
		answer(w, http.StatusOK, b)
	}
}

// parseSelection reads a selection. That all are meant must be said.
func parseSelection(q url.Values) (p Selection, err error) {
	for name, values := range q {
		value := values[0]
		switch {
		case len(values) > 1 || value == "":
			return p, fmt.Errorf("%s is to have one value", name)
		case name == "reason":
			p.Reason = value
		case name == "sender":
			p.From = value
		case name == "to":
			p.To = value
		case name == "older":
			if p.Older, err = time.ParseDuration(value); err != nil || p.Older <= 0 {
				return p, errors.New("older is an age such as 36h")
			}
		case name == "after":
			if p.After, err = strconv.ParseUint(value, 10, 63); err != nil {
				return p, errors.New("after is a number")
			}
		case name != "all" || value != "true":
			return p, fmt.Errorf("%s=… is not known here: reason, sender, to, older, all=true, after", name)
		}
	}
	if picked := p.Reason != "" || p.From != "" || p.To != "" || q.Has("older"); picked == q.Has("all") {
		return p, errors.New("say which are meant: reason, sender, to, older; or, by itself, all=true")
	}
	return p, nil
}

// Query is a selection as changeSome reads it.
func (p Selection) Query() string {
	q := url.Values{}
	for name, value := range map[string]string{"reason": p.Reason, "sender": p.From, "to": p.To} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if p.Older > 0 {
		q.Set("older", p.Older.String())
	}
	if len(q) == 0 {
		q.Set("all", "true")
	}
	if p.After > 0 {
		q.Set("after", strconv.FormatUint(p.After, 10))
	}
	return q.Encode()
}

// ParseRef reads what bridge.Ref's String writes: message, dot, delivery.
func ParseRef(text string) (bridge.Ref, error) {
	msg, index, _ := strings.Cut(text, ".")
	m, err1 := strconv.ParseUint(msg, 10, 64)
	l, err2 := strconv.ParseUint(index, 10, 16)
	if err1 != nil || err2 != nil || m == 0 {
		return bridge.Ref{}, errors.New("a dead letter's number looks like 12.0")
	}
	return bridge.Ref{Msg: m, Delivery: uint16(l)}, nil
}
