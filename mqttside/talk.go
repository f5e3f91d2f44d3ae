package mqttside

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	"chatrelay/mqttside/session"
)

// partTimeout is how long a goodbye waits for the broker to close.
const partTimeout = 300 * time.Millisecond

// sideConnection is a conversation with a broker beside the relay's own connection, or one before it in its session.
type sideConnection struct {
	echoes
	conn      *session.Conn
	heard     chan *session.Publish // without room: what nobody asks for waits
	listening atomic.Bool           // probes are waited for, and nothing else
	temporary bool                  // the session is to end with it, by MQTT 5
	kept      *time.Duration        // how long the broker says it keeps a session like the relay's; nil: as it is asked
	stop      func() bool
}

// client says whose session is asked for.
type client struct {
	id    string
	clean bool
	will  *session.Will
}

// expiry is never shorter than the relay's own: the session may be that.
func (c client) expiry(cfg *Config) time.Duration {
	if c.clean {
		return 0
	}
	return cfg.SessionExpiry
}

// unreachable: no connection came about.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

// loginBeside dials and logs in. ctx must have a deadline; it ends the talk.
func loginBeside(ctx context.Context, cfg *Config, u *url.URL, who client, level session.Level) (*sideConnection, error) {
	user, password, err := cfg.login(u)
	if err != nil {
		return nil, err
	}
	raw, err := transport(ctx, cfg, u)
	if err != nil {
		return nil, unreachable{err}
	}
	t := &sideConnection{heard: make(chan *session.Publish)}
	t.conn, err = login(ctx, raw, session.Options{Level: level, ClientID: who.id, CleanStart: who.clean, Will: who.will, Expiry: who.expiry(cfg),
		Username: user, Password: password, Longest: cfg.longestPublish(), Handler: t})
	if err != nil {
		return nil, explain(err)
	}
	t.stop = context.AfterFunc(ctx, func() { t.conn.Close(ctx.Err()) })
	t.conn.Start()
	return t, nil
}

// Received keeps a message until it is asked for. Nothing is acknowledged: it is for somebody else.
func (t *sideConnection) Received(p *session.Publish) {
	if t.listening.Load() {
		t.hear(p.Payload)
		return
	}
	select {
	case t.heard <- p:
	case <-t.conn.Closed():
	}
}

// Answered is of no use here: all goes out at QoS 0.
func (t *sideConnection) Answered(session.Answer) {}

// Downgraded likewise.
func (t *sideConnection) Downgraded() {}

// Changed likewise.
func (t *sideConnection) Changed() {}

// subscribe asks for one filter and waits for the answer.
func (t *sideConnection) subscribe(filter string) error {
	answer, err := t.conn.Subscribe(session.Filter{Topic: filter, QoS: 1})
	if err != nil {
		return err
	}
	for {
		select {
		case codes := <-answer:
			if codes[0] > 2 {
				return refusedFilter{codes[0]}
			}
			return nil
		case <-t.heard: // it may come before the answer (MQTT-3.8.4-3), and again to who subscribes anew
		case <-t.conn.Closed():
			return t.conn.Reason()
		}
	}
}

// next waits for a message.
func (t *sideConnection) next() (*session.Publish, error) {
	select {
	case p := <-t.heard:
		return p, nil
	case <-t.conn.Closed():
		return nil, t.conn.Reason()
	}
}

// end says goodbye, and waits a moment until the broker has taken note: it closes then.
func (t *sideConnection) end() {
	t.stop()
	t.conn.Disconnect(session.Parting{Why: errParted, Linger: partTimeout, EndSession: t.temporary})
	t.conn.Join()
}

var errParted = errors.New("we have left")
