package journal

import (
	"slices"
	"sort"
)

// fifo is a queue that lets go of what has left it.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(x T) { q.items = append(q.items, x) }

func (q *fifo[T]) at(i int) T { return q.items[q.head+i] }

func (q *fifo[T]) drop(n int) {
	clear(q.items[q.head : q.head+n])
	q.head += n
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 4096 {
			q.items = nil
		}
	} else if q.head > 256 && q.head*2 > len(q.items) {
		q.items = append(q.items[:0:0], q.items[q.head:]...)
		q.head = 0
	}
}

// insert puts x behind those at the front that go before it. It looks at few of them: thousands may be requeued at once.
func (q *fifo[T]) insert(x T, before func(T) bool) {
	at := q.head + sort.Search(q.len(), func(i int) bool { return !before(q.at(i)) })
	q.items = slices.Insert(q.items, at, x)
}

// retain drops all that do not matter any more.
func (q *fifo[T]) retain(matters func(T) bool) {
	var left []T
	for _, x := range q.items[q.head:] {
		if matters(x) {
			left = append(left, x)
		}
	}
	q.items, q.head = left, 0
}
