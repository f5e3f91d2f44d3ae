package console

import (
	"net/http"

	"chatrelay/internal/trace"
)

// trace follows a message: each station of it, by number, sender's id, landline or room.
func (c *Console) trace(w http.ResponseWriter, r *http.Request, _ Role) {
	values := r.URL.Query()
	q := trace.Query{Text: values.Get("q"), Limit: 20}
	err := q.Between(values.Get("since"), values.Get("until"), c.cfg.Clock())
	if q.Text == "" || len(q.Text) > mostWords || err != nil {
		fail(w, http.StatusBadRequest, "bad_request", "q is a message's number, its sender's id, a landline or a room; since and until are ages such as 2h, or times")
		return
	}
	ctx, done, err := c.read(r.Context())
	defer done()
	found := []*trace.Message{}
	if err == nil {
		var more []*trace.Message
		more, err = c.cfg.Trace(ctx, q)
		found = append(found, more...)
	}
	if err != nil {
		c.failed(w, r, err)
		return
	}
	answer(w, map[string]any{"messages": found})
}
