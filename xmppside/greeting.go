package xmppside

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"

	"mellium.im/sasl"
)

// mostGreeting is how many bytes a server may send until we are logged in: it needs some ten thousand.
const mostGreeting = 1 << 20

var errGreeting = errors.New("the server sends too much before we are logged in")

// greeting is a connection on which the server may not say without end what the login reads whole.
type greeting struct {
	net.Conn
	heard  atomic.Int64
	closed atomic.Bool // we are logged in: sm looks after the size from here on
}

func (g *greeting) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if !g.closed.Load() && g.heard.Add(int64(n)) > mostGreeting {
		return 0, errGreeting
	}
	return n, err
}

// How often a server may have us hash the password. RFC 5802 §5.1 has 4,096 as the least; each million takes half a second.
const (
	leastIterations = 4096
	mostIterations  = 1_000_000
)

// challengeError: a server that is broken or hostile. The password was not used.
type challengeError struct{ text string }

func (e *challengeError) Error() string { return "the server's SCRAM challenge " + e.text }

// bounded looks at a SCRAM challenge before m does: it would compute whatever is asked, for hours, and it does not
// get over a part that is too short.
func bounded(m sasl.Mechanism) sasl.Mechanism {
	next := m.Next
	m.Next = func(n *sasl.Negotiator, challenge []byte, data any) (bool, []byte, any, error) {
		if n.State()&sasl.StepMask == sasl.AuthTextSent {
			if err := checkChallenge(challenge); err != nil {
				return false, nil, nil, err
			}
		}
		return next(n, challenge, data)
	}
	return m
}

// checkChallenge reads a server-first-message (RFC 5802 §7).
func checkChallenge(challenge []byte) error {
	iterations := -1
	for part := range bytes.SplitSeq(challenge, []byte{','}) {
		if len(part) < 3 || part[1] != '=' {
			return &challengeError{"cannot be read"}
		}
		if part[0] != 'i' {
			continue
		}
		n, err := strconv.ParseUint(string(part[2:]), 10, 31)
		if err != nil || iterations >= 0 {
			return &challengeError{"has no iteration count that can be read"}
		}
		iterations = int(n)
	}
	if iterations < leastIterations || iterations > mostIterations {
		return &challengeError{fmt.Sprintf("has an iteration count of %d: it must be from %d to %d", iterations, leastIterations, mostIterations)}
	}
	return nil
}
