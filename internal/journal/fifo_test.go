package journal

import (
	"slices"
	"testing"
)

// What is put back goes to its place by age, behind its equals, and few are looked at for that.
func TestInsertByAge(t *testing.T) {
	var q fifo[int]
	for i := range 100_000 {
		q.push(2 * i)
	}
	q.drop(3)
	asked := 0
	put := func(x int) { q.insert(x, func(y int) bool { asked++; return y <= x }) }
	for _, x := range []int{1, 7, 8, 150_001, 300_000} {
		put(x)
	}
	if got := q.items[q.head : q.head+5]; !slices.Equal(got, []int{1, 6, 7, 8, 8}) {
		t.Errorf("the first are %v", got)
	}
	if !slices.IsSorted(q.items[q.head:]) || q.len() != 100_002 || q.at(q.len()-1) != 300_000 {
		t.Errorf("%d, out of order or the last is not last", q.len())
	}
	if asked > 100 {
		t.Errorf("%d were looked at", asked)
	}
}
