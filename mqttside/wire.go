package mqttside

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/internal/wait"
)

const (
	readBuffer   = 64<<10 + 16     // the longest topic and what stands before the payload
	commitLimit  = pingTimeout / 2 // older unwritten bytes: pings would wait behind a stuck commit
	writeTimeout = 5 * time.Second // of one write to the network
	leaveTimeout = time.Second     // for the last bytes before a DISCONNECT closes the connection
)

var (
	errBarrier = errors.New("the journal did not commit in time")
	errWrite   = errors.New("write")
)

// observer is told what passes a wire. It never waits.
type observer interface {
	connack(present bool, code byte)
	ack(kind byte, id uint16) error // PUBACK, PUBREC, PUBREL or PUBCOMP came, and paho has not seen it yet
	suback(code byte)
	leaving(id uint16) // the PUBLISH of a packet id is about to be written
	breach()           // what came breaks MQTT; the wire closes next
	writable()         // no more than heldBytes wait now, or none for its turn
	barred(err error)  // the journal failed to commit what waits here; the wire closes next
}

// wire is the connection under paho: a net.Conn that buffers both ways. What is written needs every ticket that
// was raised before it, and one goroutine lets out only the prefix whose tickets are committed. So no packet
// leaves before the journal has what it stands for, and writes share commits and system calls. Each ticket is asked
// for: one commit may fail between two that succeed.
//
// Write never blocks (the outbox bounds what can wait here), save for a DISCONNECT, after which paho closes.
type wire struct {
	raw      net.Conn
	r        *bufio.Reader
	observer observer
	commit   func(ctx context.Context, ticket uint64) error // waits for a ticket: the journal's Wait
	limit    int                                            // longest PUBLISH that is passed whole
	closed   chan struct{}
	stop     context.CancelFunc // of what the flusher waits for

	frame  frame // owned by the reading goroutine
	pings  pings
	pace   pace
	pinged atomic.Bool // paho has asked, and nothing has come since

	mu      sync.Mutex // guards all below
	err     error      // why it was closed
	theirs  bool       // by the far end, or the network
	parting error      // why paho was told to disconnect
	buf     []byte
	segs    []segment
	turns   turns
	due     []uint64 // tickets raised since the flusher last took
	raised  int      // tickets ever raised
	pending int      // bytes not yet written
	wake    wait.Signal
	idle    wait.Broadcast // rings when pending falls to 0
	done    chan struct{}
}

// segment is one packet in the buffer.
type segment struct {
	n    int
	need int // how many of the raised tickets must be committed first
	at   time.Time
	id   uint16 // of a PUBLISH that takes one
}

// newWire takes over raw and starts its flusher, which ends with close.
func newWire(raw net.Conn, s observer, commit func(context.Context, uint64) error, limit int) *wire {
	w := &wire{
		raw: raw, observer: s, commit: commit, limit: limit,
		closed: make(chan struct{}), wake: wait.NewSignal(), done: make(chan struct{}),
	}
	w.r = bufio.NewReaderSize(w.pace.reader(raw), readBuffer)
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go w.flush(ctx) // close ends it; join waits for it
	return w
}

// raise makes all later writes wait for a ticket.
func (w *wire) raise(ticket uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = append(w.due, ticket)
	w.raised++
}

// await: what comes now is to be ended, behind what came before it.
func (w *wire) await(id uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turns.await(id, time.Now())
}

// Write takes one whole packet, as paho writes them. A DISCONNECT passes what still waits for its turn: that comes
// again, and is known then.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.err != nil {
		defer w.mu.Unlock()
		return 0, w.err
	}
	held := w.turns.holds()
	switch p[0] >> 4 {
	case packets.Puback, packets.Pubcomp:
		w.add(w.turns.end(p, time.Now()))
	case packets.Pingreq:
		w.pings.ask()
		w.pinged.Store(true)
		w.add([][]byte{p})
	default:
		w.add([][]byte{p})
	}
	held = held && !w.turns.holds()
	w.mu.Unlock()
	if held {
		w.observer.writable()
	}
	if p[0]>>4 == packets.Disconnect {
		w.settle(leaveTimeout)
	}
	return len(p), nil
}

// add hands packets to the flusher. w.mu is held.
func (w *wire) add(ps [][]byte) {
	for _, p := range ps {
		w.buf = append(w.buf, p...)
		w.segs = append(w.segs, segment{n: len(p), need: w.raised, at: time.Now(), id: publishID(p)})
		w.pending += len(p)
		w.pace.sends(len(p), time.Now())
	}
	if len(ps) == 0 {
		return
	}
	w.wake.Set()
}

// fence waits until the broker has answered a ping behind all that was written: it has read that.
func (w *wire) fence(ctx context.Context) error {
	w.mu.Lock()
	if w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	n := w.pings.ask()
	w.add([][]byte{{packets.Pingreq << 4, 0}})
	w.mu.Unlock()
	return w.pings.await(ctx, n, w.closed, w.reason)
}

// deaf tells whether the broker answers no ping, and sends nothing else.
func (w *wire) deaf(now time.Time) bool {
	return w.pings.open(now, pingTimeout) && w.pace.silent(now, pingTimeout)
}

// skipStalled lets out what has waited too long for its turn.
func (w *wire) skipStalled(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(w.turns.skipStalled(now))
}

// holds tells whether a packet waits for its turn.
func (w *wire) holds() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.turns.holds()
}

// settle waits until all is written; false: it was not.
func (w *wire) settle(limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		idle := w.idle.Wait()
		if w.quiet() {
			return true
		}
		select {
		case <-idle:
		case <-w.closed:
			return false
		case <-t.C:
			return false
		}
	}
}

func (w *wire) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending == 0
}

// flush writes what the journal has committed until the wire closes.
func (w *wire) flush(ctx context.Context) {
	defer close(w.done)
	var b batch
	for {
		select {
		case <-w.wake:
		case <-w.closed:
			return
		}
		for w.take(&b) {
			if err := b.write(ctx, w); err != nil {
				w.end(err, errors.Is(err, errWrite) && !timedOut(err))
				return
			}
		}
	}
}

// take swaps the filled buffers for empty ones.
func (w *wire) take(b *batch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf, b.buf = b.buf[:0], w.buf
	w.segs, b.segs = b.segs[:0], w.segs
	b.due = append(b.due, w.due...)
	w.due = w.due[:0]
	if cap(w.buf) > 4<<20 {
		w.buf = nil // a burst of long messages is not remembered for ever
	}
	return len(b.segs) > 0
}

func (w *wire) wrote(n int) {
	w.mu.Lock()
	w.pending -= n
	before, now := w.pending+n, w.pending
	w.mu.Unlock()
	if now == 0 {
		w.idle.Wake()
	}
	if before > heldBytes && now <= heldBytes {
		w.observer.writable()
	}
}

// over has ended: with it, Inflight.Wait only asks.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// close ends the wire, for a reason of our own.
func (w *wire) close(why error) { w.end(why, false) }

// lost tells whether the far end or the network closed it.
func (w *wire) lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.theirs
}

// end ends the wire once, for the first reason given.
func (w *wire) end(why error, theirs bool) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.err, w.theirs = why, theirs
	w.mu.Unlock()
	close(w.closed)
	w.stop()
	_ = w.raw.Close() // nothing of it is used any more
}

// partWith says why paho is about to be told to disconnect.
func (w *wire) partWith(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parting = why
}

// join waits for the flusher of a closed wire.
func (w *wire) join() { <-w.done }

// reason is why the wire closed; nil while it is open.
func (w *wire) reason() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close is paho's. paho says nothing of a connection lost with net.ErrClosed's text, so no error here has it.
func (w *wire) Close() error {
	w.mu.Lock()
	why := w.parting
	w.mu.Unlock()
	if why == nil {
		why = errors.New("the broker answers no ping") // whoever else closes has given its reason
	}
	w.close(why)
	return nil
}

// The rest of net.Conn. Writes have a deadline of their own.

func (w *wire) SetDeadline(t time.Time) error      { return w.raw.SetReadDeadline(t) }
func (w *wire) SetReadDeadline(t time.Time) error  { return w.raw.SetReadDeadline(t) }
func (w *wire) SetWriteDeadline(_ time.Time) error { return nil }
func (w *wire) LocalAddr() net.Addr                { return w.raw.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr               { return w.raw.RemoteAddr() }

// publishID is the packet id of a whole PUBLISH at QoS 1 or 2, else 0.
func publishID(p []byte) uint16 {
	if p[0]>>4 != packets.Publish || p[0]&0x06 == 0 {
		return 0
	}
	at := 1
	for p[at]&0x80 != 0 { // remaining length, MQTT-2.2.3
		at++
	}
	at++
	at += 2 + int(binary.BigEndian.Uint16(p[at:]))
	return binary.BigEndian.Uint16(p[at:])
}

// held is how many bytes wait here.
func (w *wire) held() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending
}
