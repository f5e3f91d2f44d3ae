package mqttside

import (
	"errors"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
)

func (f *fakeBroker) setMute(mute bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mute = mute
}

// TestNothingComes: where only what is to come in is missed, what went out was heard. None of it is told failed.
func TestNothingComes(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) { return polite(p), false })
	m := bridgetest.NewMemory(t)
	l := start(t, m, testConfig(t, f.url()))
	l.up(t)
	m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
	m.Until(t, "settled", bridgetest.AllClosed)
	f.setMute(true)
	l.current().conn.Close(errors.New("cut by the test"))
	l.down(t, "brings us nothing")
	if s := m.Sum(); s.Counts[bridge.Unconfirmed] > 0 || s.Unproven != 1 {
		t.Errorf("what had gone out is bounced, or confirmed before all is well: %+v", s)
	}
	f.setMute(false)
	l.up(t)
	m.Until(t, "confirmed", func(s bridgetest.Sum) bool { return s.Unproven == 0 && s.Counts[bridge.Unconfirmed] == 0 })
}

// TestFullAndNothingComes: a full journal leaves unacknowledged what comes, and some brokers (RabbitMQ) let probes wait
// behind that. Mail goes out nevertheless: else the journal would stay full for ever.
func TestFullAndNothingComes(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
		s, ok := p.(*packets.SubscribePacket)
		if !ok || s.Topics[0] != "/chat/+" {
			return polite(p), false
		}
		messages := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		messages.Qos, messages.MessageID, messages.TopicName, messages.Payload = 1, 1, "/chat/1001", []byte(body("y", 0))
		return append(polite(p), messages), false
	})
	f.setMute(true)
	m := bridgetest.NewMemory(t)
	m.Judge(func(bridge.Inbound) error { return bridge.ErrFull })
	cfg := testConfig(t, f.url())
	cfg.HasSpace = func() bool { return false }
	l := start(t, m, cfg)
	l.within(t, 15*time.Second, "up", func() bool { ok, _ := l.Up(); return ok })
	m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
	m.Until(t, "sent", bridgetest.AllClosed)
}

// TestRightsByClientID: where rights go by client id, the second login may not subscribe. The relay's own connection
// may, and hears itself.
func TestRightsByClientID(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
		if s, ok := p.(*packets.SubscribePacket); ok && s.Topics[0] != "/chat/+" {
			return []packets.ControlPacket{suback(s.MessageID, 0x80)}, false
		}
		return polite(p), false
	})
	hearsItself(t, f)
}
