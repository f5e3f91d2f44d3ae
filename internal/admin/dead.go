package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

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
	letters, err := s.cfg.Dead.DeadLetters(r.Context(), limit)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if letters == nil {
		letters = []Letter{}
	}
	answer(w, http.StatusOK, map[string]any{"dead": letters})
}

func (s *Server) change(done string, do func(context.Context, bridge.Ref) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ref, err := ParseRef(r.PathValue("ref"))
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		switch err := do(r.Context(), ref); {
		case errors.Is(err, ErrNoLetter):
			fail(w, http.StatusNotFound, err.Error())
		case err != nil:
			fail(w, http.StatusServiceUnavailable, err.Error())
		default:
			s.cfg.Log.Info().Stringer("ref", ref).Str("done", done).Msg("dead letter changed by hand")
			answer(w, http.StatusOK, map[string]string{"ref": ref.String(), "done": done})
		}
	}
}

// ParseRef reads what bridge.Ref's String writes: message, dot, leg.
func ParseRef(text string) (bridge.Ref, error) {
	msg, leg, _ := strings.Cut(text, ".")
	m, err1 := strconv.ParseUint(msg, 10, 64)
	l, err2 := strconv.ParseUint(leg, 10, 16)
	if err1 != nil || err2 != nil || m == 0 {
		return bridge.Ref{}, errors.New("a letter's number looks like 12.0")
	}
	return bridge.Ref{Msg: m, Leg: uint16(l)}, nil
}
