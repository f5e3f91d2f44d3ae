package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/fifo"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/internal/wait"

	"github.com/rs/zerolog"
)

// Render makes the bytes of a delivery from the body in the journal.
type Render func(origin bridge.SideID, kind bridge.Kind, to string, body []byte, note bridge.Note) ([]byte, error)

// Options of a journal. The zero value is a journal in memory without notices.
type Options struct {
	Dir          string        // "memory" or empty: in memory, for tests
	Database     *Database     // instead of a folder
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
	// Chosen hears of choices once they are committed, after what was done before them. It must not wait; nil: nobody does.
	Chosen func(what Choice, why *bridge.Refusal, refs []bridge.Ref)

	driver, readDriver string // of database/sql, for tests that put faults into it; empty: sqlite
}

// Database is where a journal is that has no folder. Its owner opens it before, and closes it behind the journal.
type Database struct {
	Tables func() (*sqlite.Tables, error)
	Log    func(journal string, tables sqlite.Position) (Log, error)
}

func (o *Options) inMemory() bool { return o.Dir == "" && o.Database == nil }

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
	folder *sqlite.Folder
	tables *sqlite.Tables
	frames Log

	wakeup wait.Signal   // for the writer: the queue is not empty, or Close
	ended  chan struct{} // closed when the writer has ended
	fatal  chan error    // capacity 1: the writer says it once

	mu       sync.Mutex // guards all below
	queue    opQueue
	stopping bool
	busy     bool  // the writer has something in hand
	broken   error // nothing can be done any more
	writeErr error // messages cannot be written for now; changed by the writer
	blocked  bool  // nor can anything else

	pic         *picture.Picture
	lanes       map[laneKey]*lane
	ready       [bridge.XMPP + 1]*readyQueue
	nextID      uint64 // message number
	cachedBytes int64  // bytes of bodies kept

	undelayed    fifo.Queue[*picture.Message] // not yet told that it is delayed, by age
	byAge        fifo.Queue[*picture.Message] // taken, by age; closed ones are skipped
	lastUnproven uint64                       // number of the newest one

	ticket        uint64 // last one given out
	resolvedTo    uint64 // all up to it are committed or have failed
	failedTickets []span // tickets whose commit failed, newest last
	resolved      wait.Broadcast

	waiting   int // deliveries that wait (pending.go)
	shares    shares
	mayNotify func(inbox, sender string) bool // that he has his share
	space     space
	unsaved   unsaved

	// The writer's own.
	logLines         lateLog // for the log, once the lock is free
	ranBase          int64   // running ms before this start
	deciding         decision
	probe            int  // bytes that did not fit
	writeErrWarned   bool // that there is trouble
	writeErrWarnedAt time.Time
	retained         []op     // could not be committed, to be tried again
	fullWarned       bool     // said in the log
	shed             shedding // dead letters that are put away
}

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
	go j.run() // Shut waits for it
	return j, nil
}

func open(o Options) (_ *Journal, err error) {
	h, err := sqlite.LockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	h.Use(o.driver, o.readDriver)
	j := &Journal{
		opt: o, log: o.Log, folder: h,
		wakeup: wait.NewSignal(), ended: make(chan struct{}), fatal: make(chan error, 1),
		lanes:  map[laneKey]*lane{},
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
	if o.Database != nil {
		j.tables, err = o.Database.Tables()
	} else {
		j.tables, err = sqlite.OpenTables(h)
	}
	if err != nil {
		return nil, err
	}
	if err := j.load(); err != nil {
		return nil, err
	}
	return j, j.tables.WriteID()
}

// ID is the journal's random id.
func (j *Journal) ID() string { return j.tables.ID() }

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
	if j.frames != nil {
		errs = append(errs, j.frames.Close())
	}
	if j.tables != nil {
		errs = append(errs, j.tables.Close())
	}
	return errors.Join(append(errs, j.folder.Unlock())...)
}

// NewID reserves a number. It needs no commit of its own: the record that uses it raises the lease.
func (j *Journal) NewID() (uint64, string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	id := j.newNumber()
	return id, fmt.Sprintf("cr-%s-%d", j.tables.ID(), id)
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
func (j *Journal) ran() int64 { return max(j.running(), j.pic.Head.Ran) }

// ranAt is the running time at which a message from the file was taken, as well as the clock can tell, if it is running now.
func (j *Journal) ranAt(at, running int64) int64 { return running - max(0, j.nowMS()-at) }
