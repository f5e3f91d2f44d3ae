package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/message"

	"github.com/rs/zerolog"
)

// Render makes the bytes of a delivery from the body in the journal.
type Render func(origin bridge.SideID, kind bridge.Kind, to string, body []byte, note bridge.Note) ([]byte, error)

// Options of a journal. The zero value is a journal in memory without notices.
type Options struct {
	Dir          string        // "memory" or empty: in memory, for tests
	Sync         string        // "full" (also when empty) or "os"
	MaxBytes     int64         // 0: 1 GiB
	MaxPending   int           // deliveries that wait, those of answers too; 0: any number
	DedupWindow  time.Duration // 0: 24 h
	DedupMaxKeys int           // 0: 1,000,000
	Notices      bridge.Notices
	Clock        func() time.Time // nil: time.Now
	// Elapsed is for how long this process runs, whatever is done to the clock; nil: by Clock, which is right
	// for the machine's (time.Time has a monotonic reading).
	Elapsed func() time.Duration
	Log     zerolog.Logger
	Render  Render // nil: bridge.Render

	driver string // of database/sql, for tests that put faults into it; empty: sqlite
}

func (o *Options) setDefaults() error {
	if o.Dir == "memory" {
		o.Dir = ""
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.DedupWindow == 0 {
		o.DedupWindow = 24 * time.Hour
	}
	if o.DedupMaxKeys == 0 {
		o.DedupMaxKeys = 1_000_000
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Elapsed == nil {
		clock, began := o.Clock, o.Clock()
		o.Elapsed = func() time.Duration { return clock().Sub(began) }
	}
	if o.Render == nil {
		o.Render = func(origin bridge.SideID, kind bridge.Kind, to string, body []byte, note bridge.Note) ([]byte, error) {
			return bridge.Render(origin, kind, to, body, note), nil
		}
	}
	if o.driver == "" {
		o.driver = "sqlite"
	}
	switch {
	case o.Sync == "":
		o.Sync = "full"
	case o.Sync != "full" && o.Sync != "os":
		return fmt.Errorf("sync is %q: full or os", o.Sync)
	}
	if o.MaxBytes < 0 || o.MaxPending < 0 || o.DedupWindow < 0 || o.DedupMaxKeys < 0 {
		return errors.New("limits cannot be negative")
	}
	return nil
}

// Journal is the open journal. All methods may be called from any goroutine.
type Journal struct {
	opt    Options
	log    zerolog.Logger
	folder *folder
	db     *sql.DB
	conn   *sql.Conn // the writer's
	reader *readers  // nil in memory
	stmts  *statements
	id     string

	wakeup wait.Signal   // for the writer: the queue is not empty, or Close
	ended  chan struct{} // closed when the writer has ended
	fatal  chan error    // capacity 1: the writer says it once

	mu       sync.Mutex // guards all below
	queue    opQueue
	stopping bool
	busy     bool        // the writer has something in hand
	broken   error       // nothing can be done any more
	writeErr error       // messages cannot be written for now; changed by the writer
	blocked  bool        // nor can anything else
	loading  []*delivery // while the journal is opened
	idle     bool        // an idle moment of the writer

	entries     map[uint64]*entry
	lanes       map[laneKey]*lane
	ready       [bridge.XMPP + 1]*readyQueue
	dedup       dedupIndex
	nextID      uint64 // message number
	seq         uint64 // delivery
	cachedBytes int64  // bytes of bodies kept

	undelayed     fifo[*entry] // not yet told that it is delayed, by age
	byAge         fifo[*entry] // taken, by age; closed ones are skipped
	finished      fifo[finished]
	finishedBytes int64 // bytes of bodies in done
	counts        map[bridge.Counter]int64
	pending       [bridge.XMPP + 1]int64
	open          [bridge.XMPP + 1]int64
	dead          tally // Dead letters in the file
	pinned        int64 // keys of pending messages, which are never forgotten

	unproven     [bridge.XMPP + 1]fifo[unproven] // settled and not confirmed, by side, oldest first
	lastUnproven uint64                          // number of the newest one

	ticket        uint64 // last one given out
	resolvedTo    uint64 // all up to it are committed or have failed
	failedTickets []span // tickets whose commit failed, newest last
	resolved      wait.Broadcast

	waiting   int // deliveries that wait (pending.go)
	shares    shares
	mayNotify func(inbox, sender string) bool // that he has his share
	space     space

	// The writer's own.
	logLines         lateLog // for the log, once the lock is free
	tx               uint32
	lastBinding      uint64 // last binding
	lease            uint64 // numbers below it are covered by meta
	seenRow          uint64
	ranBase          int64 // running ms before this start
	ranSaved         int64
	pageSize         int64
	checkpointed     bool // nothing was written since the log was folded in
	probe            int  // bytes that did not fit
	writeErrWarned   bool // that there is trouble
	writeErrWarnedAt time.Time
	retained         []op      // could not be committed, to be tried again
	fullWarned       bool      // said in the log
	notes            noteCache // while the journal is opened
	shedding         bool      // Dead letters are being put away
	shed             int       // of them, and not yet said
	shedAt           time.Time // said last
	deadWarned       bool      // so are too many dead letters
}

// finished is a message that waits for its bounce hour to end.
type finished struct {
	m  *entry
	at int64 // running ms
}

type tally struct{ n, bytes int64 }

// Open opens the journal of a folder, or makes one where there has never been any, and starts its writer, which
// Close ends. A journal that is damaged, newer than this program or in another process's hands is an error.
func Open(ctx context.Context, o Options) (*Journal, error) {
	if err := o.setDefaults(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	go j.write() // Shut waits for it
	return j, nil
}

func open(o Options) (_ *Journal, err error) {
	h, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		opt: o, log: o.Log, folder: h, stmts: newStatements(),
		wakeup: wait.NewSignal(), ended: make(chan struct{}), fatal: make(chan error, 1),
		entries: map[uint64]*entry{}, lanes: map[laneKey]*lane{}, counts: map[bridge.Counter]int64{},
		shares: newShares(), mayNotify: bridge.NewLimiter(o.Clock),
	}
	for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		j.ready[side] = &readyQueue{}
	}
	j.queue.company = time.AfterFunc(companyFor, j.commitSettles)
	defer func() {
		if err != nil {
			err = errors.Join(err, j.closeFiles())
		}
	}()
	unclean := false
	if o.Dir != "" {
		if err := h.prepare(o.driver); err != nil {
			return nil, err
		}
		unclean = h.unclean()
	}
	if j.db, j.conn, err = connect(o.driver, h, o.Sync); err != nil {
		return nil, damaged(err)
	}
	if unclean && h.size() <= checkedBytes {
		if err := integrityCheck(j.conn); err != nil {
			return nil, damaged(err)
		}
	}
	if err := migrate(j.conn); err != nil {
		return nil, damaged(err)
	}
	if err := j.load(); err != nil {
		return nil, damaged(err)
	}
	if err := h.writeID(j.id); err != nil {
		return nil, err
	}
	return j, j.openReader()
}

// openReader opens the connections that read beside the writer.
func (j *Journal) openReader() (err error) {
	if j.folder.dir == "" {
		return nil
	}
	j.reader, err = openReaders(j.folder.path())
	return err
}

// ID is the journal's random id.
func (j *Journal) ID() string { return j.id }

// Fatal gives the error that ended the writer, if one does: the process must end, and start again.
func (j *Journal) Fatal() <-chan error { return j.fatal }

// Close commits what is in the queue, ends the writer and closes the file. It waits for the writer.
func (j *Journal) Close() error {
	j.mu.Lock()
	again := j.stopping
	j.stopping = true
	j.mu.Unlock()
	j.wakeup.Set()
	<-j.ended
	if again {
		return nil
	}
	if err := j.closeFiles(); err != nil {
		return fmt.Errorf("journal: shut: %w", err)
	}
	return nil
}

func (j *Journal) closeFiles() error {
	var errs []error
	if j.reader != nil {
		errs = append(errs, j.reader.close())
	}
	errs = append(errs, j.stmts.close())
	if j.conn != nil {
		errs = append(errs, j.conn.Close())
	}
	if j.db != nil {
		errs = append(errs, j.db.Close()) // the last connection folds the log into the file
	}
	return errors.Join(append(errs, j.folder.unlock())...)
}

// NewID reserves a number. It needs no commit of its own: the record that uses it raises the lease.
func (j *Journal) NewID() (uint64, string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	id := j.newNumber()
	return id, fmt.Sprintf("cr-%s-%d", j.id, id)
}

func (j *Journal) newNumber() uint64 {
	id := j.nextID
	j.nextID++
	return id
}

func (j *Journal) nowMS() int64 { return j.opt.Clock().UnixMilli() }

// running is for how long a relay has run on this journal, in ms. Within a process all waiting is measured by it:
// the clock may be set back by an hour, or by a year.
func (j *Journal) running() int64 { return j.ranBase + j.opt.Elapsed().Milliseconds() }

// ran is the same, and never less than the file says. Only the writer calls it.
func (j *Journal) ran() int64 { return max(j.running(), j.ranSaved) }

// ranAt is the running time at which a message from the file was taken, as well as the clock can tell.
func (j *Journal) ranAt(at int64) int64 { return j.running() - max(0, j.nowMS()-at) }

// known looks a key up as the record's origin may see it.
func (j *Journal) known(origin bridge.SideID, key message.Key) (first dedupEntry, echo, ok bool) {
	if first, ok = j.dedup.find(origin, key); ok {
		return first, false, true
	}
	if origin != bridge.MQTT {
		return dedupEntry{}, false, false // an MQTT sender is not proven: it must not silence an XMPP one
	}
	first, ok = j.dedup.find(bridge.XMPP, key)
	return first, ok, ok
}
