package console

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// Role is what somebody may do.
type Role string

// Roles.
const (
	Operator Role = "operator" // all
	Reader   Role = "reader"   // look
)

const (
	sessionLife  = 12 * time.Hour
	mostSessions = 32 // of one role; one more ends the oldest of that role
)

// session is one login. It lives as long as the token that it was opened with.
type session struct {
	role  Role
	token [32]byte // that token's hash
	until time.Time
}

// sessions are all logins of this life of the process, by the hash of their id: whoever could read the table could not
// log in with it, and the time of a look-up tells nothing of an id.
type sessions struct {
	mu sync.Mutex // guards by
	by map[[32]byte]session
}

// open gives the id of a new session.
func (s *sessions) open(role Role, token [32]byte, now time.Time) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[[32]byte]session{}
	}
	same := 0
	for key, old := range s.by {
		switch {
		case !now.Before(old.until):
			delete(s.by, key)
		case old.role == role:
			same++
		}
	}
	if same >= mostSessions {
		s.endOldest(role)
	}
	s.by[sha256.Sum256([]byte(id))] = session{role: role, token: token, until: now.Add(sessionLife)}
	return id
}

// endOldest is called with s.mu held.
func (s *sessions) endOldest(role Role) {
	var oldest [32]byte
	var until time.Time
	for key, one := range s.by {
		if one.role == role && (until.IsZero() || one.until.Before(until)) {
			oldest, until = key, one.until
		}
	}
	delete(s.by, oldest)
}

func (s *sessions) find(id string, now time.Time) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.by[sha256.Sum256([]byte(id))]
	return one, ok && now.Before(one.until)
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, sha256.Sum256([]byte(id)))
}
