package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"chatrelay/internal/admin"
)

const (
	mostStreams   = 16 // of all together
	mostOfReaders = 10 // of these: who may only look does not keep out who may do something
	mostOfSession = 6  // as many as a browser opens to one place (HTTP/1.1)
	logEvery      = time.Second
	eventTimeout  = 10 * time.Second // a client that does not take an event for so long has gone
)

// streams counts those that are open: each holds a connection of the status page, which must stay there for probes.
type streams struct {
	mu     sync.Mutex // guards all below
	byRole map[Role]int
	by     map[string]int // by session
}

func (s *streams) take(session string, role Role) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filled(session, role) {
		return false
	}
	if s.by == nil {
		s.by, s.byRole = map[string]int{}, map[Role]int{}
	}
	s.byRole[role]++
	s.by[session]++
	return true
}

// full tells whether one more would be too many.
func (s *streams) full(session string, role Role) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filled(session, role)
}

// filled is called with s.mu held.
func (s *streams) filled(session string, role Role) bool {
	return s.byRole[Operator]+s.byRole[Reader] >= mostStreams || role == Reader && s.byRole[Reader] >= mostOfReaders || s.by[session] >= mostOfSession
}

func (s *streams) giveBack(session string, role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byRole[role]--
	if s.by[session]--; s.by[session] == 0 {
		delete(s.by, session)
	}
}

// state is what the page shows of now.
type state struct {
	admin.Status
	Dead  int64 `json:"dead_letters"`
	Point point `json:"point"`
}

// events is the stream (Server-Sent Events) of one open page: first how things went, then how they go. Who is slow
// misses states, and old lines of the log; nothing is kept for them.
func (c *Console) events(w http.ResponseWriter, r *http.Request, role Role) {
	_, session, _ := c.who(r) // it was there just now
	if !c.streams.take(session, role) {
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, "too_many_streams", "too many consoles are open")
		return
	}
	defer c.streams.giveBack(session, role)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep it
	s := &stream{w: w, control: http.NewResponseController(w)}
	_ = s.control.SetReadDeadline(time.Time{}) // else the server takes the request for broken after its read timeout
	history := c.past()
	if s.send("history", history) != nil || len(history) > 0 && s.send("state", c.present()) != nil {
		return
	}
	c.follow(s, r)
}

// follow sends what is new until the client, its session or the relay has gone.
func (c *Console) follow(s *stream, r *http.Request) {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	logged, changed := uint64(0), c.changed.Wait()
	for {
		lines := c.cfg.Tail.since(logged)
		if len(lines.Lines) > 0 && s.send("log", lines) != nil {
			return
		}
		logged = lines.Last
		select {
		case <-r.Context().Done():
			return
		case <-c.ended:
			return
		case <-changed:
			changed = c.changed.Wait()
			if s.send("state", c.present()) != nil {
				return
			}
		case <-tick.C:
			if role, _, err := c.who(r); role == "" || err != nil {
				_ = s.send("end", struct{}{}) // it has gone, or asks again
				return
			}
		}
	}
}

func (c *Console) past() []point {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]point{}, c.history...)
}

func (c *Console) present() state {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := state{Status: c.now, Dead: c.dead}
	if n := len(c.history); n > 0 {
		now.Point = c.history[n-1]
	}
	return now
}

type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *stream) send(event string, body any) error {
	b, err := json.Marshal(body) // has no line end in it
	if err != nil {
		return err
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, b); err != nil {
		return err
	}
	return s.control.Flush()
}
