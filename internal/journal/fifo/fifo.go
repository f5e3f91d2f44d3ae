// Package fifo is a queue in memory whose middle can be reached.
package fifo

import (
	"iter"
	"slices"
	"sort"
)

// Queue is a queue that lets go of what has left it.
type Queue[T any] struct {
	items []T
	head  int
}

func (q *Queue[T]) Len() int { return len(q.items) - q.head }

func (q *Queue[T]) Push(x T) { q.items = append(q.items, x) }

func (q *Queue[T]) At(i int) T { return q.items[q.head+i] }

// Take takes n from the front.
func (q *Queue[T]) Take(n int) []T {
	front := slices.Clone(q.items[q.head : q.head+n])
	q.Drop(n)
	return front
}

func (q *Queue[T]) Drop(n int) {
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

// Search is the index of the first that does not go before: what goes before is at the front. It looks at few of
// them.
func (q *Queue[T]) Search(before func(T) bool) int {
	return sort.Search(q.Len(), func(i int) bool { return !before(q.At(i)) })
}

// Insert puts x behind those at the front that go before it. It moves the shorter part: thousands may be requeued, or
// given back, at once.
func (q *Queue[T]) Insert(x T, before func(T) bool) {
	at := q.Search(before)
	if q.head > 0 && at < q.Len()-at {
		q.head--
		copy(q.items[q.head:], q.items[q.head+1:q.head+1+at])
		q.items[q.head+at] = x
		return
	}
	q.items = slices.Insert(q.items, q.head+at, x)
}

// Remove takes one out of the middle.
func (q *Queue[T]) Remove(i int) {
	if i == 0 {
		q.Drop(1)
		return
	}
	q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
}

// Retain drops all that do not matter any more.
func (q *Queue[T]) Retain(matters func(T) bool) {
	var left []T
	for _, x := range q.items[q.head:] {
		if matters(x) {
			left = append(left, x)
		}
	}
	q.items, q.head = left, 0
}

// All goes through it from the front, with each one's index.
func (q *Queue[T]) All() iter.Seq2[int, T] { return slices.All(q.items[q.head:]) }
