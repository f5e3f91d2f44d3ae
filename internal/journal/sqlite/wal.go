package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Layout of SQLite's write-ahead log (sqlite.org/fileformat2.html#walformat).
const (
	walHead      = 32
	walFrameHead = 24
	walPage      = 4096 // as all our files have
)

// checkWAL tells a log that was damaged from one whose end was torn off by a crash. SQLite reads up to the first bad frame
// either way, and says nothing. A crash can only tear the one transaction that was not synced yet: whole transactions
// behind a bad frame, and behind the one that it belongs to, were on the disk, and answered.
func checkWAL(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	head := make([]byte, walHead)
	if _, err := io.ReadFull(in, head); err != nil || string(head) == string(make([]byte, walHead)) {
		return nil // nothing was in it yet
	}
	w := newWalSum(head)
	frame := make([]byte, walFrameHead+walPage)
	good, bad, ends := 0, !w.is(head[24:]), 0
	salts := string(head[16:24])
	for n := 0; ; n++ {
		if _, err := io.ReadFull(in, frame); err != nil {
			break
		}
		if bad && n == 0 {
			salts = string(frame[8:16]) // it is the head that is bad
		}
		same := string(frame[8:16]) == salts // else it is of the log before the last checkpoint
		w.add(frame[:8])
		w.add(frame[walFrameHead:])
		if bad = bad || !same || !w.is(frame[16:24]); !bad {
			good++
		} else if same && binary.BigEndian.Uint32(frame[4:]) > 0 { // ends a transaction
			ends++
		}
	}
	if ends > 1 {
		return fmt.Errorf("%w: %s is damaged behind its frame %d, and %d transactions are lost with that: bring back a copy of the folder",
			ErrDamaged, path, good, ends)
	}
	return nil
}

// walSum is SQLite's running sum.
type walSum struct {
	order binary.ByteOrder
	a, b  uint32
}

func newWalSum(head []byte) *walSum {
	w := &walSum{order: binary.LittleEndian}
	if head[3]&1 == 1 { // of the magic number: sums are of big-endian words
		w.order = binary.BigEndian
	}
	w.add(head[:24])
	return w
}

func (s *walSum) add(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		s.a += s.order.Uint32(p) + s.b
		s.b += s.order.Uint32(p[4:]) + s.a
	}
}

func (s *walSum) is(p []byte) bool {
	return binary.BigEndian.Uint32(p) == s.a && binary.BigEndian.Uint32(p[4:]) == s.b
}
