package journal

import (
	"errors"
	"time"

	"chatrelay/internal/journal/fifo"
)

// Limits of one commit; a single Append may be larger, as it is atomic.
const (
	commitOps   = 4096
	commitBytes = 4 << 20
)

// errClosed answers those who come after the end.
var errClosed = errors.New("the journal is shut")

// op is one operation on its way into the journal. The queue keeps their order.
type op interface {
	// size is what it adds to a commit: operations and bytes.
	size() (ops, bytes int)
	// decide says what it comes to, as facts. It may be asked again, if that could not be written. Under Journal.mu; by
	// the writer only.
	decide(d *decision)
	// end says what became of it: nil is committed. It answers whoever waits and never waits itself. again:
	// the journal is to try it again by itself. Under Journal.mu.
	end(j *Journal, err error) (again bool)
}

// prepared operations read the file before the writer takes the lock to decide.
type prepared interface{ prepare() }

// numbered operations have a ticket.
type numbered interface{ number() uint64 }

// companyFor is for how long a settle waits for company: nobody waits for it, and if it is lost in a crash its delivery
// is still bound, so that the wire settles it again. Mostly an operation that someone waits for takes it along before.
const companyFor = 5 * time.Millisecond

// opQueue is what waits to be committed, in order. What is committed is always its front. Guarded by Journal.mu.
type opQueue struct {
	ops     fifo.Queue[op]
	due     bool        // a commit is to begin: there is more than settles in it, or they have waited for long enough
	company *time.Timer // that they have; runs while there are only settles
}

func (q *opQueue) put(o op) {
	if _, settles := o.(*settleOp); !settles {
		q.due = true
	} else if q.ops.Len() == 0 {
		q.company.Reset(companyFor)
	}
	q.ops.Push(o)
}

// take takes what is there, up to the size of a commit.
func (q *opQueue) take() []op {
	n, ops, bytes := 0, 0, 0
	for ; n < q.ops.Len(); n++ {
		o, b := q.ops.At(n).size()
		if n > 0 && (ops+o > commitOps || bytes+b > commitBytes) {
			break
		}
		ops, bytes = ops+o, bytes+b
	}
	batch := q.ops.Take(n)
	if q.ops.Len() == 0 {
		q.due = false
		q.company.Stop()
	}
	return batch
}

// commitSettles begins the commit that the queue's settles have waited for.
func (j *Journal) commitSettles() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue.due = true
	j.wakeup.Set()
}

// put adds to the queue. Under Journal.mu.
func (j *Journal) put(o op) {
	if j.broken != nil {
		o.end(j, j.broken)
		if n, ok := o.(numbered); ok {
			j.resolve(n.number(), j.broken)
		}
		return
	}
	if j.queue.put(o); j.queue.due {
		j.wakeup.Set()
	}
}

// enqueue adds an operation that someone waits for.
func (j *Journal) enqueue(o op) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	if j.stopping {
		return errClosed
	}
	j.put(o)
	return nil
}

// withdraw takes an operation out of the queue; false: the writer has it.
func (j *Journal) withdraw(o op) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.queue.ops.Len() {
		if j.queue.ops.At(i) == o {
			j.queue.ops.Remove(i)
			return true
		}
	}
	return false
}

// takeBatch takes what is to be committed now.
func (j *Journal) takeBatch() []op {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.queue.due && !j.stopping {
		return nil
	}
	batch := j.queue.take()
	j.busy = len(batch) > 0
	return batch
}
