package journal

import (
	"strings"
	"sync"
	"testing"

	"chatrelay/internal/journal/picture"

	"github.com/google/go-cmp/cmp"
)

// replay keeps the frames of a journal, and what its picture was when it was opened. At the end the frames make of that
// what the journal's own picture is.
type replay struct {
	mu     sync.Mutex // guards all below
	twin   *picture.Picture
	frames [][]byte
}

// openReplayed opens a journal as Open does, and has its frames kept.
func openReplayed(t testing.TB, o Options) (*Journal, *replay, error) {
	t.Helper()
	if err := o.setDefaults(); err != nil {
		return nil, nil, err
	}
	j, err := open(o)
	if err != nil {
		return nil, nil, err
	}
	r := &replay{}
	r.twin, err = j.tables.Load(func(at, ran int64) int64 {
		if j.pic.Finished.Len() > 0 {
			return j.pic.Finished.At(0).At
		}
		return ran
	})
	must(t, err)
	for i, g := range r.twin.Keys.Generations {
		was := j.pic.Keys.Generations[i]
		g.Began, g.Moved = was.Began, was.Moved // the tables know when the first key of the first one came, and no more
	}
	r.twin.Finished.Drop(r.twin.Finished.Len()) // the tables do not know when, nor in which order
	for _, f := range j.pic.Finished.All() {
		r.twin.Finished.Push(picture.Finished{Message: r.twin.Messages[f.Message.ID], At: f.At})
	}
	for id, m := range r.twin.Messages {
		m.Ran = j.pic.Messages[id].Ran // as the clock told it a moment before
	}
	j.frames = &recorder{j.frames, r}
	go j.run() // Close waits for it
	return j, r, nil
}

// recorder is a log that keeps what is appended.
type recorder struct {
	Log
	r *replay
}

func (l *recorder) Append(n uint64, frame []byte) error {
	err := l.Log.Append(n, frame)
	if err == nil {
		l.r.mu.Lock()
		defer l.r.mu.Unlock()
		l.r.frames = append(l.r.frames, append([]byte{}, frame...))
	}
	return err
}

// check compares, once the journal is closed.
func (r *replay) check(t testing.TB, j *Journal) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.twin == nil {
		return // checked before
	}
	for _, frame := range r.frames {
		h, facts, err := picture.Decode(frame)
		if err != nil {
			t.Fatal(err)
		}
		r.twin.Apply(h, facts)
	}
	var want, got strings.Builder
	j.mu.Lock()
	j.pic.Words(&want)
	j.mu.Unlock()
	r.twin.Words(&got)
	if got.String() != want.String() {
		t.Errorf("the replay of %d frames makes another picture: %s", len(r.frames), cmp.Diff(want.String(), got.String()))
	}
	r.twin, r.frames = nil, nil
}
