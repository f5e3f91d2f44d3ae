package fix

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// askAfter is how long a port must have been silent until it is asked what it speaks: a server that restarts is left alone.
const askAfter = 5 * time.Second

// Failure is a connection that does not come about, again and again. One goroutine uses it.
type Failure struct {
	Side Protocol // MQTT or XMPP

	shape string // of the errors; empty: all is well
	since time.Time
	asked bool
	err   error // the same, explained
}

// See takes in one more error. fresh: it is another than the last one, or more is known of it, so it is to be logged.
func (f *Failure) See(ctx context.Context, now time.Time, err error) (explained error, fresh bool) {
	if shape := Shape(err); shape != f.shape {
		f.shape, f.since, f.asked, f.err = shape, now, false, err
		return err, true
	}
	if !f.asked && now.Sub(f.since) >= askAfter {
		f.asked = true
		if better := Explain(ctx, err); Shape(better) != f.shape {
			f.err = better
			return better, true
		}
	}
	return f.err, false
}

// Over: the connection is there, and holds.
func (f *Failure) Over() { f.shape = "" }

// Text is an error for people, in one line: what is wrong, and what mends it.
func Text(side Protocol, err error) string {
	what, mends := Short(err), For(side, err)
	if mends == "" || what == "" {
		return what
	}
	return what + ": " + mends
}

// Short is an error in one line, without our own port.
func Short(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Silent](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Op + ": " + e.Err.Error()
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// Shape is an error without what differs from one time to the next: ports, times, counts. It is for comparing.
func Shape(err error) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, Short(err))
}
