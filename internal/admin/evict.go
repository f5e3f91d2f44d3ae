package admin

import (
	"net"
	"net/http"
	"sync"
)

// evicting is a listener that keeps at most so many clients: one more closes the one that has waited longest without a
// request, or the oldest where all are served. So whoever holds connections open shuts out no probe of an orchestrator.
type evicting struct {
	net.Listener
	most int

	mu      sync.Mutex // guards all below
	clients []client   // in order of their last change of state
}

type client struct {
	conn net.Conn
	busy bool // a request is being read or answered
}

// Accept implements net.Listener.
func (e *evicting) Accept() (net.Conn, error) {
	conn, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.clients) >= e.most {
		e.evict()
	}
	e.clients = append(e.clients, client{conn: conn})
	return conn, nil
}

// evict closes a client. e.mu is held.
func (e *evicting) evict() {
	at := 0
	for n, c := range e.clients {
		if !c.busy {
			at = n
			break
		}
	}
	_ = e.clients[at].conn.Close() // its goroutine finds out
	e.clients = append(e.clients[:at], e.clients[at+1:]...)
}

// changed is the server's ConnState.
func (e *evicting) changed(conn net.Conn, state http.ConnState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for n, c := range e.clients {
		if c.conn != conn {
			continue
		}
		e.clients = append(e.clients[:n], e.clients[n+1:]...)
		if state != http.StateClosed && state != http.StateHijacked {
			e.clients = append(e.clients, client{conn, state == http.StateActive})
		}
		return
	}
}
