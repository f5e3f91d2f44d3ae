package admin

import (
	"net/http"
	"strconv"

	"chatrelay/internal/trace"
)

// trace answers GET /trace?q=…, with since, until and limit.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	q := trace.Query{Text: values.Get("q"), Limit: 20}
	if q.Text == "" {
		fail(w, http.StatusBadRequest, "q is a message's number, its sender's id, a landline or a room")
		return
	}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostListed {
			fail(w, http.StatusBadRequest, "limit is a number from 1 to "+strconv.Itoa(mostListed))
			return
		}
		q.Limit = n
	}
	if err := q.Between(values.Get("since"), values.Get("until"), s.cfg.Clock()); err != nil {
		fail(w, http.StatusBadRequest, "since, until: "+err.Error())
		return
	}
	found, err := s.cfg.Trace(r.Context(), q)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if found == nil {
		found = []*trace.Message{}
	}
	answer(w, http.StatusOK, map[string]any{"messages": found})
}
