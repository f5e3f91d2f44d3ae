package xmppside

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
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
	answer chan *element
}

// iqError is an answer of type error.
type iqError struct{ kind, condition, text string }

func (e *iqError) Error() string {
	if e.text == "" {
		return e.condition
	}
	return e.condition + ": " + e.text
}

func errorOf(e *element) *iqError {
	out := &iqError{condition: "undefined-condition"}
	child := e.child(nsClient, "error")
	if child == nil {
		return out
	}
	out.kind = child.get("type")
	for _, k := range child.kids {
		switch {
		case k.name.Space != nsStanzas:
		case k.name.Local == "text":
			out.text = k.text
		default:
			out.condition = k.name.Local
		}
	}
	return out
}

func isCondition(err error, names ...string) bool {
	var e *iqError
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range names {
		if e.condition == n {
			return true
		}
	}
	return false
}

// write puts a whole stanza on the connection. It is queued, not waited for.
func (k *connection) write(raw []byte) error {
	w := k.sess.TokenWriter() // nobody writes between
	_, err := k.sess.Conn().Write(raw)
	return errors.Join(err, w.Close())
}

// ask sends an IQ and waits for its answer, at most askTimeout. to: empty is our own account.
func (k *connection) ask(ctx context.Context, to, typ, payload string) (*element, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	id := "q-" + rand.Text()[:16]
	q := &question{to: to, answer: make(chan *element, 1)}
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
	iq := appendAttr(appendAttr([]byte("<iq"), "type", typ), "id", id)
	if to != "" {
		iq = appendAttr(iq, "to", to)
	}
	if err := k.write(append(append(append(iq, '>'), payload...), "</iq>"...)); err != nil {
		return nil, err
	}
	select {
	case e := <-q.answer:
		if e.get("type") == "error" {
			return nil, errorOf(e)
		}
		return e, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer: %w", ctx.Err())
	case <-k.l.Context().Done():
		return nil, errNoLogin
	}
}

// answered takes an IQ of type result or error. Only whom we asked can answer; the rest is dropped.
func (k *connection) answered(e *element) {
	id, from := e.get("id"), e.get("from")
	k.asking.mu.Lock()
	q := k.asking.waiting[id]
	delete(k.asking.waiting, id)
	ok := q != nil && (from == q.to || q.to == "" && k.ours(from) || q.to == bareOf(k.full) && from == "")
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
	bare := bareOf(k.full)
	return from == "" || from == bare || from == k.full || from == domainOf(bare)
}
