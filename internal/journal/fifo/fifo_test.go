package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// What is put back goes to its place by age, behind its equals, and few are looked at for that.
func TestInsertByAge(t *testing.T) {
	var q Queue[int]
	for i := range 100_000 {
		q.Push(2 * i)
	}
	q.Drop(3)
	asked := 0
	put := func(x int) { q.Insert(x, func(y int) bool { asked++; return y <= x }) }
	for _, x := range []int{1, 7, 8, 150_001, 300_000} {
		put(x)
	}
	if got := q.items[q.head : q.head+5]; !slices.Equal(got, []int{1, 6, 7, 8, 8}) {
		t.Errorf("the first are %v", got)
	}
	if !slices.IsSorted(q.items[q.head:]) || q.Len() != 100_002 || q.At(q.Len()-1) != 300_000 {
		t.Errorf("%d, out of order or the last is not last", q.Len())
	}
	if asked > 100 {
		t.Errorf("%d were looked at", asked)
	}
}

// Whatever is put in and taken out, and wherever, the queue is what a plain sorted list is.
func TestFifoIsAList(t *testing.T) {
	var q Queue[int]
	var list []int
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		switch n := rng.IntN(6); {
		case n == 0 || len(list) == 0:
			x := rng.IntN(1000)
			q.Insert(x, func(y int) bool { return y <= x })
			at, _ := slices.BinarySearch(list, x+1)
			list = slices.Insert(list, at, x)
		case n == 1:
			i := rng.IntN(len(list))
			q.Remove(i)
			list = slices.Delete(list, i, i+1)
		case n == 2:
			some := rng.IntN(min(len(list), 3) + 1)
			if front := q.Take(some); !slices.Equal(front, list[:some]) {
				t.Fatalf("took %v, want %v", front, list[:some])
			}
			list = slices.Clone(list[some:])
		default:
			x := list[len(list)-1] + rng.IntN(3)
			q.Push(x)
			list = append(list, x)
		}
		if got := q.items[q.head:]; !slices.Equal(got, list) {
			t.Fatalf("got %v, want %v", got, list)
		}
		for _, x := range q.items[:q.head] {
			if x != 0 {
				t.Fatal("it holds on to what has left")
			}
		}
	}
}
