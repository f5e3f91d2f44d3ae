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

// take takes n from the front.
func (q *fifo[T]) take(n int) []T {
	front := slices.Clone(q.items[q.head : q.head+n])
	q.drop(n)
	return front
}

func (q *fifo[T]) drop(n int) {
	clear(q.items[q.head : q.head+n])
	q.head += n
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 4096 {
			q.items = nil
		}
	} else if q.head > 64 && q.head*2 > len(q.items) {
		q.items = append(q.items[:0:0], q.items[q.head:]...)
		q.head = 0
	}
}

// search is the index of the first that does not go before: what goes before is at the front. It looks at few of
// them.
func (q *fifo[T]) search(before func(T) bool) int {
	return sort.Search(q.len(), func(i int) bool { return !before(q.at(i)) })
}

// insert puts x behind those at the front that go before it. It moves the shorter part: thousands may be requeued, or
// given back, at once.
func (q *fifo[T]) insert(x T, before func(T) bool) {
	at := q.search(before)
	if q.head > 0 && at < q.len()-at {
		q.head--
		copy(q.items[q.head:], q.items[q.head+1:q.head+1+at])
		q.items[q.head+at] = x
		return
	}
	q.items = slices.Insert(q.items, q.head+at, x)
}

// remove takes one out of the middle.
func (q *fifo[T]) remove(i int) {
	if i == 0 {
		q.drop(1)
		return
	}
	q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
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
