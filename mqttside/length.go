package mqttside

import (
	"sync"
	"time"
)

const (
	lengthAge   = time.Hour        // how long the longest message that a broker takes is remembered
	lengthRetry = 10 * time.Second // a message beyond that is tried by a probe as long as it, at most so often
	lengthSteps = 10               // of the search for the limit
)

// length is what is known of how long a message a broker passes on.
type length struct {
	good    int       // so long a probe was heard; 0: unknown
	at      time.Time // when
	bad     int       // so long a probe was not heard; 0: none
	foundAt time.Time // when that was found out
	want    int       // so long a message waits to be tried; 0: none
}

// lengths are kept by address, while the process lives.
type lengths struct {
	mu     sync.Mutex // guards byHost
	byHost map[string]*length
}

func (l *lengths) of(host string) *length {
	if l.byHost == nil {
		l.byHost = map[string]*length{}
	}
	found := l.byHost[host]
	if found == nil {
		found = &length{}
		l.byHost[host] = found
	}
	return found
}

// known gives the longest probe heard; 0: it is to be found out, or found out anew.
func (l *lengths) known(host string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.of(host); at.good > 0 && now.Sub(at.at) < lengthAge {
		return at.good
	}
	return 0
}

// heard notes that a probe came by. What was heard before counts for lengthAge, however much longer it was.
func (l *lengths) heard(host string, n int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.of(host)
	if n >= at.good || now.Sub(at.at) >= lengthAge {
		at.good, at.at = n, now
	}
	if n >= at.bad {
		at.bad = 0
	}
	if n >= at.want {
		at.want = 0
	}
}

// missed notes that a probe did not come by.
func (l *lengths) missed(host string, n int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.of(host)
	if at.good >= n {
		at.good = 0
	}
	if at.bad == 0 || n <= at.bad || now.Sub(at.foundAt) >= lengthRetry {
		at.bad, at.foundAt = n, now
	}
	if n <= at.want {
		at.want = 0
	}
}

// forget lets a limit be found out anew.
func (l *lengths) forget(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byHost, host)
}

// wanted is the length that a message waits for; 0: none.
func (l *lengths) wanted(host string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(host).want
}

// unwant: it could not be found out. Who wants it asks again.
func (l *lengths) unwant(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(host).want = 0
}

// fit says whether a message of a length passes.
type fit byte

const (
	fits     fit = iota
	fitsNot      // it was tried just now
	fitsMay      // it is to be tried first
	fitNever     // no limit is known: nothing is to be sent
)

// fits decides about a message. fitsMay asks for a probe.
func (l *lengths) fits(host string, n int, now time.Time) (f fit, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.of(host)
	switch {
	case n <= at.good:
		return fits, at.good
	case at.good == 0:
		return fitNever, 0
	case at.bad > 0 && n >= at.bad && now.Sub(at.foundAt) < lengthRetry:
		return fitsNot, at.good
	}
	at.want = max(at.want, n)
	return fitsMay, at.good
}

// probeLength is how long a probe must be for the same limits to let a message pass: one is of payloads, another of
// packets.
func (s *Side) probeLength(topic string, body int) int {
	return body + 2 + max(0, len(topic)-len(s.prover.topic)) // 2: a probe has no packet id
}

// longest is the length of the longest message that is ever sent, and of the longest probe.
func (c *Config) longest() int { return c.MaxMessage + noticeMore }
