package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"
)

const (
	listenLimit = 5 * time.Second // for a second login
	aloneAfter  = 3               // of them in a row that show nothing, and for so long, before the connection is to hear itself
	aloneFor    = 5 * time.Second
)

// errBeside: the second login does not come about, or shows nothing.
var (
	errBeside = errors.New("no second login at the broker")
	errDeaf   = errors.New("it does not hear its own probes")
)

// tryProbes lets a probe of a length go out, and a small one come in.
func (s *Side) tryProbes(ctx context.Context, k *connection, long int, limit time.Duration) error {
	if k.level == level5 {
		return s.hearItself(ctx, k, long, limit)
	}
	var l *listener
	err := errBeside
	if k.level != levelPlain || !s.brokers.single(k.url.Host, time.Now()) {
		l, err = s.beside(ctx, k.url)
	}
	switch {
	case k.level == levelPlain && errors.Is(err, errBeside):
		return s.hearItself(ctx, k, long, limit)
	case err != nil:
		return err
	}
	began := time.Now()
	r, err := tryBeside(ctx, k, l, s.prover.topic, long, limit)
	if r.out && r.in && long <= probeLeast {
		s.prover.took = time.Since(began)
	}
	switch {
	case errors.Is(err, errListener):
		return s.useless(k.url, err)
	case err != nil:
		return err
	}
	// Some brokers let a probe wait behind what we leave unacknowledged. To wait for it would be for ever: the journal gets
	// room by what leaves. Then the connection is renewed.
	r.in = r.in || !k.takes()
	switch {
	case r.self || r.out && r.in:
		s.prover.failed = 0
		return r.silence()
	case k.level == levelPlain:
		return s.hearItself(ctx, k, long, limit)
	}
	if err := s.useless(k.url, errDeaf); s.brokers.single(k.url.Host, time.Now()) {
		s.prover.deaf = true
		return err
	}
	return &silence{out: !r.out, in: !r.in, untrusted: true}
}

// tried is which probes were heard with the help of a second login.
type tried struct{ out, in, self bool }

func (t tried) silence() error {
	if t.out && t.in {
		return nil
	}
	return &silence{out: !t.out, in: !t.in}
}

// tryBeside lets probes go both ways between the relay's connection and a second login. Whether that hears itself tells
// what a probe that is missed is worth: where rights go by client id it may have none.
func tryBeside(ctx context.Context, k *connection, l *listener, topic string, long int, limit time.Duration) (t tried, err error) {
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { t.out, errs[0] = hears(ctx, k, l, topic, long, limit) })
	wg.Go(func() { t.in, errs[1] = hears(ctx, l, k, topic, probeLeast, limit) })
	wg.Go(func() { t.self, errs[2] = hears(ctx, l, l, topic, probeLeast, limit) })
	wg.Wait()
	return t, errors.Join(errs[:]...)
}

// hearItself lets a probe come back on the relay's own connection. Where that does not hear itself either, a second
// login that was deaf is not what is wrong: the next connection may have one again.
func (s *Side) hearItself(ctx context.Context, k *connection, long int, limit time.Duration) error {
	began := time.Now()
	ok, err := hears(ctx, k, k, s.prover.topic, long, limit)
	if ok && long <= probeLeast {
		s.prover.took = time.Since(began)
	}
	if err != nil || ok {
		return err
	}
	if s.prover.deaf {
		s.prover.deaf = false
		s.brokers.setLonely(k.url.Host, time.Time{})
	}
	return &silence{out: true, in: true}
}

// beside gives the second login at a broker, which listens for probes. One that may not subscribe where the relay's own
// connection may, as where rights go by client id, is none.
func (s *Side) beside(ctx context.Context, u *url.URL) (*listener, error) {
	p := &s.prover
	if p.listener != nil && p.host == u.Host && p.listener.alive() {
		return p.listener, nil
	}
	p.close()
	ctx, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	t, err := s.sideLogin(ctx, u)
	var l *listener
	if err == nil {
		l, err = listen(t, s.prover.topic)
	}
	if err != nil {
		return nil, s.useless(u, err)
	}
	p.listener, p.host = l, u.Host
	return l, nil
}

// useless notes that a second login showed nothing: it did not come about, ended, or does not hear itself. After some in
// a row the relay goes on without one.
func (s *Side) useless(u *url.URL, why error) error {
	p := &s.prover
	if p.failed++; p.failed == 1 {
		p.since = time.Now()
	}
	if p.failed >= aloneAfter && time.Since(p.since) > aloneFor {
		p.failed, p.deaf = 0, false
		s.brokers.setLonely(u.Host, time.Now())
	}
	return fmt.Errorf("%w: %w", errBeside, why)
}
