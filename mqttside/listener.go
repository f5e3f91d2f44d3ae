package mqttside

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// listener is a side login that stays: what the relay's own connection says it hears, and the other way round. With
// the bridge bit a broker does not bring us what we publish ourselves.
type listener struct {
	echoes
	pings
	pace
	t     *talk
	ended chan struct{}
	wg    sync.WaitGroup

	writing sync.Mutex // held around each packet
	mu      sync.Mutex // guards err
	err     error      // why it ended
}

var (
	errListener = errors.New("the second login has ended")
	errHungUp   = errors.New("the broker has closed it") // with errListener
)

// listen subscribes on a fresh side login and keeps it open until close; it takes over the talk.
func listen(t *talk, filter string) (*listener, error) {
	if err := t.subscribe(filter); err != nil {
		t.end()
		return nil, err
	}
	t.stop()
	if err := t.conn.SetDeadline(time.Time{}); err != nil {
		t.end()
		return nil, err
	}
	l := &listener{t: t, ended: make(chan struct{})}
	t.r.Reset(l.reader(io.MultiReader(bytes.NewReader(rest(t.r)), t.conn)))
	l.wg.Go(l.read)
	l.wg.Go(l.beat)
	return l, nil
}

func (l *listener) read() {
	for {
		p, err := readPacket(l.t.r, l.t.limit)
		if err != nil {
			l.fail(ended(err))
			return
		}
		switch p := p.(type) {
		case *packets.PublishPacket:
			l.hear(p.Payload)
		case *packets.PingrespPacket:
			l.answer()
		}
	}
}

// ended says how the connection ended: our own timeouts are not the broker's doing.
func ended(err error) error {
	if timedOut(err) {
		return fmt.Errorf("%w: %w", errListener, err)
	}
	return fmt.Errorf("%w: %w: %w", errListener, errHungUp, err)
}

// rest is what a reader has read ahead.
func rest(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered())
	return bytes.Clone(b)
}

// beat keeps the connection, and notices that it is dead.
func (l *listener) beat() {
	every := time.NewTicker(keepAlive / 2)
	defer every.Stop()
	for {
		select {
		case <-l.ended:
			return
		case now := <-every.C:
			if l.silent(now, keepAlive+keepAlive/2) {
				l.fail(fmt.Errorf("%w: it answers no ping", errListener))
				return
			}
		}
		if _, err := l.ping(); err != nil {
			return
		}
	}
}

func (l *listener) say(topic string, payload []byte) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	l.sends(len(payload), time.Now())
	return l.write(p)
}

func (l *listener) fence(ctx context.Context) error {
	n, err := l.ping()
	if err != nil {
		return err
	}
	return l.await(ctx, n, l.ended, l.why)
}

// ping sends one; the counting and the sending go together, for answers come in order.
func (l *listener) ping() (uint64, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	n := l.ask()
	return n, l.put(packets.NewControlPacket(packets.Pingreq))
}

func (l *listener) write(p packets.ControlPacket) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.put(p)
}

// put writes a packet. l.writing is held.
func (l *listener) put(p packets.ControlPacket) error {
	length := 0
	if m, ok := p.(*packets.PublishPacket); ok {
		length = len(m.Payload)
	}
	err := l.t.conn.SetWriteDeadline(time.Now().Add(writeTimeout + lineTime(length)))
	if err == nil {
		err = p.Write(l.t.conn)
	}
	if err != nil {
		l.fail(ended(err))
		return l.why()
	}
	return nil
}

func (l *listener) fail(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = why
	close(l.ended)
	_ = l.t.conn.Close() // nothing of it is used any more
}

func (l *listener) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *listener) alive() bool { return l.why() == nil }

// close says goodbye and waits for the goroutines.
func (l *listener) close() {
	if l.alive() {
		_ = l.write(packets.NewControlPacket(packets.Disconnect)) // it closes either way
	}
	l.drop()
}

// drop closes a connection that may be dead.
func (l *listener) drop() {
	l.fail(errListener)
	l.wg.Wait()
}
