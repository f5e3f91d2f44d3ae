package session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// TestSilentBehindLong: a long packet that the broker has not answered for may be on the line still, as long as a slow one
// takes for it, or an eighth of the speed that the line has shown.
func TestSilentBehindLong(t *testing.T) {
	const size = 200 << 10
	for _, c := range []struct {
		name     string
		answered []time.Duration // how long the broker takes to answer each; the last one if it has no answer
		last     bool            // which has one
		within   time.Duration   // of the last one
	}{
		{"answered", []time.Duration{0}, true, KeepAlive},
		{"not answered", nil, false, LineTime(size)},
		{"not answered on a fast line", []time.Duration{time.Second / 8}, false, KeepAlive},
		{"not answered on a middling line", []time.Duration{2 * time.Second}, false, 8 * 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { silentBehindLong(t, size, c.answered, c.last, c.within) })
		})
	}
}

func silentBehindLong(t *testing.T, size int, answered []time.Duration, last bool, within time.Duration) {
	s, c, f, _ := begun(t, newFakeJournal())
	send := func(id uint16) {
		m := message(int(id), 1)
		m.Payload = make([]byte, size)
		if !s.Send(c, m) {
			t.Fatal("not taken")
		}
		f.wants(want{id, kindPublish})
	}
	began := time.Now()
	for i, d := range answered {
		send(uint16(i + 1))
		time.Sleep(d)
		f.acks(kindPuback, uint16(i+1))
	}
	if !last {
		synctest.Wait()
		began = time.Now()
		send(uint16(len(answered) + 1))
	}
	go func() { // ends with far
		for f.reads() != nil {
		}
	}()
	select {
	case <-c.Closed():
	case <-time.After(time.Minute):
	}
	ends := within + pingTimeout
	if took := time.Since(began); !errors.Is(c.Reason(), ErrSilent) || took < ends-time.Second || took > ends+2*time.Second {
		t.Errorf("after %v: %v, want %v", took, c.Reason(), ends)
	}
	f.leave(c)
	synctest.Wait()
}

// TestSilentBehindProbe: nothing answers a long PUBLISH of QoS 0; the answer to the ping behind it ends the allowance.
func TestSilentBehindProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, f, _ := begun(t, newFakeJournal())
		if err := c.Publish("p", make([]byte, 200<<10), false); err != nil {
			t.Fatal(err)
		}
		f.wants(want{0, kindPublish}, want{0, kindPingreq})
		f.says(packets.NewControlPacket(packets.Pingresp))
		began := time.Now()
		go func() { // ends with far
			for f.reads() != nil {
			}
		}()
		<-c.Closed()
		if took, ends := time.Since(began), KeepAlive+pingTimeout; !errors.Is(c.Reason(), ErrSilent) || took > ends+2*time.Second {
			t.Errorf("after %v: %v, want %v", took, c.Reason(), ends)
		}
		f.leave(c)
		synctest.Wait()
	})
}
