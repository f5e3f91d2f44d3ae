package sm

import (
	"encoding/xml"
	"net"
)

// Component prepares a connection for the login of a component, which has no SASL and no XEP-0198. The session is to be made over the
// connection that it returns, and begin to be called once the server has let in the component that lives at a domain.
func Component(l *Connection, conn net.Conn, domain string) (over net.Conn, begin func() error) {
	l.transport = &transport{Conn: conn, connection: l}
	return l.transport, func() error {
		s := l.st
		s.mu.Lock()
		defer s.mu.Unlock()
		if !l.current() {
			return ErrDown
		}
		s.begin(Session{JID: domain})
		l.start(0)
		l.fence = newFence(domain, s.cfg.Self, s.cfg.Clock.Now())
		return nil
	}
}

// yields tells whether a stanza is the ping of another connection that is the same component. If that is another relay's, and was
// there first, the connection ends.
func yields(l *Connection, start *xml.StartElement) bool {
	other, first := l.fence.rival(start)
	if other && first {
		l.fail(ErrRival)
	}
	return other
}
