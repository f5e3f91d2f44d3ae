package trace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segments are the files: trace-N.log, the one with the largest number is written to. What is too much or too old goes a
// whole file at a time.
type segments struct {
	dir    string
	most   int64 // bytes of one file
	maxAge time.Duration
	file   *os.File
	n      uint64
	size   int64
	broken bool // nothing could be written, the last time
	free   func(dir string) (int64, error)
}

// reserve is the room on the disk that is left to the journal: what is written down for people gives way to it.
const reserve = 64 << 20

var errReserve = fmt.Errorf("less than %d MiB of the disk are free, which is left to the journal", reserve>>20)

const (
	filePrefix = "trace-"
	fileSuffix = ".log"
	parts      = 8 // so many files hold all that may be kept
)

func openSegments(o Options) (segments, error) {
	s := segments{dir: o.Dir, most: max(o.MaxBytes/parts, 1), maxAge: o.MaxAge, free: free}
	found, err := numbers(o.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // the journal makes the folder
		return s, fmt.Errorf("trace: %w", err)
	}
	if len(found) > 0 {
		s.n = found[len(found)-1]
	}
	return s, nil
}

func name(dir string, n uint64) string {
	return filepath.Join(dir, filePrefix+strconv.FormatUint(n, 10)+fileSuffix)
}

// numbers are those of the files that are there, the oldest first.
func numbers(dir string) (out []uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, ok1 := strings.CutPrefix(e.Name(), filePrefix)
		text, ok2 := strings.CutSuffix(text, fileSuffix)
		if n, err := strconv.ParseUint(text, 10, 64); ok1 && ok2 && err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// write adds whole lines. It is not synced: a kill loses none of it, a power cut some seconds.
func (s *segments) write(text []byte, now time.Time) error {
	err := s.makeRoom()
	if err == nil {
		err = s.ready(now)
	}
	if err == nil {
		var n int
		n, err = s.file.Write(text)
		s.size += int64(n)
	}
	if err != nil {
		err = errors.Join(err, s.close())
	}
	s.broken = err != nil
	return err
}

// ready opens the file to write to: the one from before, or a new one where that is full.
func (s *segments) ready(now time.Time) error {
	if s.file != nil && s.size < s.most {
		return nil
	}
	if s.file != nil {
		if err := s.close(); err != nil {
			return err
		}
		s.n++
	}
	for {
		f, err := os.OpenFile(name(s.dir, s.n), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		if s.size, err = whole(f); err == nil && s.size == 0 {
			err = giveAway(f, s.dir)
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if s.size < s.most {
			s.file = f
			return s.prune(now)
		}
		if err := f.Close(); err != nil {
			return err
		}
		s.n++
	}
}

// whole ends a last line that was cut off.
func whole(f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return info.Size(), err
	}
	_, err = f.Write([]byte("\n"))
	return info.Size() + 1, err
}

// prune removes files that are too many or too old.
func (s *segments) prune(now time.Time) error {
	found, err := numbers(s.dir)
	for i, n := range found {
		if n >= s.n {
			break
		}
		info, err1 := os.Stat(name(s.dir, n))
		if err1 == nil && (len(found)-i > parts || now.Sub(info.ModTime()) > s.maxAge) {
			err1 = os.Remove(name(s.dir, n))
		}
		err = errors.Join(err, err1)
	}
	return err
}

// makeRoom removes files, the oldest first, until the reserve is there.
func (s *segments) makeRoom() error {
	for {
		room, err := s.free(s.dir)
		if err != nil || room >= reserve {
			return err
		}
		found, err := numbers(s.dir)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errReserve
		}
		if found[0] == s.n {
			err = s.close()
		}
		if err = errors.Join(err, os.Remove(name(s.dir, found[0]))); err != nil {
			return err
		}
	}
}

func (s *segments) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
