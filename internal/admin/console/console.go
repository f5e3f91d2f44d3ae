// Package console is the page by which people look at a running relay and put dead letters back or away, at /console/
// of the status page. It shows who wrote to whom, and never what. What it knows it asks of others: internal/app wires
// it, internal/admin serves it.
//
// Whoever opens it may be on a hostile network, and a hostile page may be open beside it. So: nothing but the files of
// the page is shown without a login; a token is given once, for a cookie that no script reads and no other site sends;
// what changes something must come from the page itself; a name that was made to point here (DNS rebinding) is not
// answered; and the page puts what others wrote nowhere but into text.
package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/internal/admin"
	"chatrelay/internal/trace"
	"chatrelay/internal/wait"
)

// Journal is what the console reads of the journal. Its methods may be called from several goroutines.
type Journal interface {
	admin.Dead
	// Deliveries lists at most limit deliveries that fit, the oldest first.
	Deliveries(ctx context.Context, state State, p admin.Selection, limit int) ([]Delivery, error)
	// DeadCount is how many dead letters there are.
	DeadCount() int64
}

// State says which deliveries are meant.
type State string

// States.
const (
	StateDead    State = "dead"
	StateWaiting State = "waiting" // those on a wire too
)

// Delivery is one delivery without its content.
type Delivery struct {
	Seq      uint64    `json:"seq,string"` // its place in the list: admin.Pick.After
	Ref      string    `json:"ref"`
	At       time.Time `json:"at"`   // when the message was taken
	Side     string    `json:"side"` // where it goes
	Kind     string    `json:"kind"` // message, room, notice, receipt or error
	From     string    `json:"from"`
	To       string    `json:"to"`
	State    string    `json:"state"`            // dead, pending, or bound: on the wire
	Reason   string    `json:"reason,omitempty"` // of a dead one; else why it was last put off
	Text     string    `json:"text,omitempty"`   // of a dead one: the sentence its sender got
	Attempts int       `json:"attempts"`
	Bytes    int       `json:"bytes"` // how long its body is
}

// Setting is one line of the configuration in force, without secrets.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Meaning string `json:"meaning"`
	Default bool   `json:"default"`
}

// Config is what the console is made of.
type Config struct {
	Token     func() (string, error) // of those who may change things; nil: nobody may
	ReadToken func() (string, error) // of those who may look; nil: there is none
	Hosts     []string               // names by which it may be asked for, beside localhost and addresses

	Status   func() admin.Status
	Took     func() (map[string][]admin.Bucket, error) // how long deliveries took, by the side they went to
	Journal  Journal
	Trace    func(context.Context, trace.Query) ([]*trace.Message, error) // the newest message comes last
	Settings func() []Setting
	Tail     *Tail            // the log's end
	Clock    func() time.Time // nil: the machine's
	Log      zerolog.Logger
}

// Console serves the page. Run it, so that it knows how things went before anybody looked.
type Console struct {
	cfg      Config
	handler  http.Handler
	page     map[string]asset
	sessions sessions
	attempts attempts
	streams  streams
	reading  chan struct{} // capacity 1: one look into the journal at a time, so that those who look keep no message waiting
	ended    chan struct{} // closed when Run has ended: streams end too

	mu      sync.Mutex          // guards all below
	history []point             // the oldest first
	took    [][2][]admin.Bucket // of the last minute, the oldest first
	now     admin.Status        // of the last point
	dead    int64               // of the same
	refused wait.Throttles      // lines of the log about logins
	changed wait.Broadcast      // woken at each point
}

// New makes a console.
func New(cfg Config) (*Console, error) {
	page, err := readPage()
	if err != nil {
		return nil, err
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	c := &Console{cfg: cfg, page: page, reading: make(chan struct{}, 1), ended: make(chan struct{})}
	c.handler = c.routes()
	return c, nil
}

// ServeHTTP implements http.Handler for all below /console/.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// every is how often it looks at the relay, and historyLen how many of these it remembers: ten minutes.
const (
	every      = 2 * time.Second
	historyLen = 300
)

// Run looks at the relay until ctx ends.
func (c *Console) Run(ctx context.Context) error {
	defer close(c.ended)
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := c.look(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			last = c.look(last)
		}
	}
}
