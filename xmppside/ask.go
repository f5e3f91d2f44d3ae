package xmppside

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"chatrelay/xmppside/stanza"
)

const askTimeout = 10 * time.Second

// asking are the questions (IQ get and set) of one connection that wait for answers.
type asking struct {
	mu sync.Mutex // guards waiting
	// By id. Each channel has capacity 1: one answer is taken, by a reader that never waits.
	waiting map[string]*question
}

type question struct {
	to     string
	answer chan *stanza.Element
}

// Write puts a whole stanza on the connection. It is queued, not waited for.
func (k *connection) Write(raw []byte) error {
	raw = k.own.withFrom(raw)
	w := k.sess.TokenWriter() // nobody writes between
	_, err := k.sess.Conn().Write(raw)
	return errors.Join(err, w.Close())
}

// Ask sends an IQ and waits for its answer, at most askTimeout. to: empty is our own account.
func (k *connection) Ask(ctx context.Context, to, typ, payload string) (*stanza.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	id := "q-" + rand.Text()[:16]
	q := &question{to: to, answer: make(chan *stanza.Element, 1)}
	k.asking.mu.Lock()
	if k.asking.waiting == nil {
		k.asking.waiting = map[string]*question{}
	}
	k.asking.waiting[id] = q
	k.asking.mu.Unlock()
	defer func() {
		k.asking.mu.Lock()
		delete(k.asking.waiting, id)
		k.asking.mu.Unlock()
	}()
	iq := stanza.AppendAttr(stanza.AppendAttr([]byte("<iq"), "type", typ), "id", id)
	if to != "" {
		iq = stanza.AppendAttr(iq, "to", to)
	}
	if err := k.Write(append(append(append(iq, '>'), payload...), "</iq>"...)); err != nil {
		return nil, err
	}
	select {
	case e := <-q.answer:
		if e.Get("type") == "error" {
			return nil, stanza.ErrorOf(e)
		}
		return e, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer: %w", ctx.Err())
	case <-k.l.Context().Done():
		return nil, errNoLogin
	}
}

// answered takes an IQ of type result or error. Only whom we asked can answer; the rest is dropped.
func (k *connection) answered(e *stanza.Element) {
	id, from := e.Get("id"), e.Get("from")
	k.asking.mu.Lock()
	q := k.asking.waiting[id]
	delete(k.asking.waiting, id)
	ok := q != nil && (from == q.to || q.to == "" && k.ours(from) || q.to == stanza.Bare(k.full) && from == "")
	if q != nil && !ok {
		k.asking.waiting[id] = q
	}
	k.asking.mu.Unlock()
	if ok {
		q.answer <- e
	}
}

// ours tells whether from is our account or our server. Mellium leaves from empty where it is the account.
func (k *connection) ours(from string) bool {
	bare := stanza.Bare(k.full)
	return from == "" || from == bare || from == k.full || from == stanza.Domain(bare)
}

var errNoLogin = errors.New("xmpp: not logged in")
