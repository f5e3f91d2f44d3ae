package journal

import (
	"errors"
	"slices"
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
	// apply changes the picture in memory, through the transaction. Under Journal.mu; by the writer only.
	apply(t *txn)
	// end says what became of it: nil is committed. It answers whoever waits and never waits itself. again:
	// the journal is to try it again by itself. Under Journal.mu.
	end(j *Journal, err error) (again bool)
}

// prepared operations read the file before the writer takes the lock to apply them.
type prepared interface{ prepare() }

// numbered operations have a ticket.
type numbered interface{ number() uint64 }

// put adds to the queue. Under Journal.mu.
func (j *Journal) put(o op) {
	if j.broken != nil {
		o.end(j, j.broken)
		if n, ok := o.(numbered); ok {
			j.resolve(n.number(), j.broken)
		}
		return
	}
	j.queue = append(j.queue, o)
	j.wakeup.Set()
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
	i := slices.Index(j.queue, o)
	if i < 0 {
		return false
	}
	j.queue = slices.Delete(j.queue, i, i+1)
	return true
}

// takeBatch takes what is there, up to the size of a commit.
func (j *Journal) takeBatch() []op {
	j.mu.Lock()
	defer j.mu.Unlock()
	n, ops, bytes := 0, 0, 0
	for ; n < len(j.queue); n++ {
		o, b := j.queue[n].size()
		if n > 0 && (ops+o > commitOps || bytes+b > commitBytes) {
			break
		}
		ops, bytes = ops+o, bytes+b
	}
	batch := slices.Clone(j.queue[:n])
	left := copy(j.queue, j.queue[n:])
	clear(j.queue[left:])
	j.queue = j.queue[:left]
	j.busy = n > 0
	return batch
}
