package session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestSilentBehindLong: a long packet that the broker has answered for is no longer on the line; until then it may be.
func TestSilentBehindLong(t *testing.T) {
	for _, answered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, c, f, _ := begun(t, newMemory())
			began := time.Now()
			const size = 200 << 10
			m := message(1, 1)
			m.Payload = make([]byte, size)
			if !s.Send(c, m) {
				t.Fatal("not taken")
			}
			f.wants(want{1, kindPublish})
			ends := LineTime(size) + pingTimeout
			if answered {
				f.acks(kindPuback, 1)
				ends = KeepAlive + pingTimeout
			}
			go func() { // ends with far
				for f.reads() != nil {
				}
			}()
			select {
			case <-c.Closed():
			case <-time.After(time.Minute):
			}
			if took := time.Since(began); !errors.Is(c.Reason(), ErrSilent) || took < ends-time.Second || took > ends+2*time.Second {
				t.Errorf("answered %v: after %v: %v, want %v", answered, took, c.Reason(), ends)
			}
			f.leave(c)
			synctest.Wait()
		})
	}
}
