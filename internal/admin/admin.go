// Package admin lets people and machines look at a running relay: health, status, metrics and dead letters over
// HTTP. It decides nothing, and it never shows what is in a message. internal/app runs it.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/trace"
)

// OfferCounter counts offers on its own, apart from the journal, from the start of the process.
type OfferCounter interface {
	// Offered is safe for concurrent use.
	Offered(side bridge.SideID) int64
}

// Dead is the list of dead letters. Its methods may be called from several goroutines.
type Dead interface {
	// DeadLetters lists at most limit of them, the oldest first.
	DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error)
	// Requeue and Drop end with ErrNoLetter where there is no such dead letter.
	Requeue(ctx context.Context, ref bridge.Ref) error
	Drop(ctx context.Context, ref bridge.Ref) error
	// RequeueSome and DropSome change one batch of those that are picked, the oldest first.
	RequeueSome(ctx context.Context, p Selection) (Batch, error)
	DropSome(ctx context.Context, p Selection) (Batch, error)
}

// Selection says which dead letters are meant: those that fit all fields that are set.
type Selection struct {
	Reason, From, To string
	Older            time.Duration // the message was taken longer ago
	After            uint64        // go on behind this one
}

// Batch is what became of a batch.
type Batch struct {
	Changed int    `json:"changed"`
	Next    uint64 `json:"next,omitempty"` // Pick.After for the rest; 0: that was all
	Full    bool   `json:"full,omitempty"` // there is no room to requeue more
}

// ErrNoDeadLetter says that no dead letter has that number.
var ErrNoDeadLetter = errors.New("there is no such dead letter")

// DeadLetter is a dead letter, without its content.
type DeadLetter struct {
	Ref    string    `json:"ref"`
	Side   string    `json:"side"` // where it should have gone
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`    // when it was taken
	Bytes  int       `json:"bytes"` // how long its body is
}

// Side is what is shown of a side.
type Side interface {
	ID() bridge.SideID
	Up() (bool, string)
}

// Config is what the pages are made of.
type Config struct {
	Addr     string
	Loopback bool                   // Addr reaches this machine only
	Token    func() (string, error) // nil: none; asked at each request
	Version  string

	Sides   []Side
	Rooms   bridge.Rooms // nil: there are none
	Balance bridge.Balance
	Offers  OfferCounter
	Dead    Dead
	Console http.Handler // of all below /console/; nil: there is none
	// Trace finds messages by number, sender's id, landline or room; the newest comes last.
	Trace func(context.Context, trace.Query) ([]*trace.Message, error)
	// Timings, InFlight (deliveries that a side has on its wire), Window (how many these may be) and Certificates (by name, until
	// when they are good) are shown in the metrics.
	Timings      *Timings
	InFlight     func(bridge.SideID) int
	Window       func(bridge.SideID) int
	Certificates func() map[string]time.Time
	Losses       func() map[Loss]int64 // nil: nobody counts
	Alive        func() error          // nil error: the journal's writer does its work
	Clock        func() time.Time
	Log          zerolog.Logger
}

// Loss is why a connection of a side has ended: one of few fixed words.
type Loss struct {
	Side   bridge.SideID
	Reason string
}

// Server is the HTTP page.
type Server struct {
	cfg      Config
	started  time.Time
	listener net.Listener
	server   *http.Server
}

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 15 * time.Second
	goodbye       = time.Second
	mostHeader    = 16 << 10
	mostBody      = 4 << 10
)

// New listens at once, so that an address in use is known before anything else starts. End it with Run, or Close.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, started: cfg.Clock()}
	handler, err := s.handler()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin: CHATRELAY_HTTP_ADDR: %w", err)
	}
	clients := &evicting{Listener: l, most: connections(descriptors())}
	s.listener = clients
	s.server = &http.Server{
		Handler: handler, MaxHeaderBytes: mostHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: log.New(quiet{cfg.Log}, "", 0), ConnState: clients.changed,
	}
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close lets go of the address of a server that is not run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan error, 1) // one result
	go func() { done <- s.server.Serve(s.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("admin: serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	err := s.server.Shutdown(end)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	<-done
	if err != nil {
		return fmt.Errorf("admin: stop: %w", err)
	}
	return nil
}

// quiet logs what net/http complains of (broken clients) where nobody is woken by it.
type quiet struct{ log zerolog.Logger }

func (q quiet) Write(b []byte) (int, error) {
	q.log.Debug().Bytes("cause", b).Msg("http client went wrong")
	return len(b), nil
}
