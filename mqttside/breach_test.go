package mqttside

import (
	"sync/atomic"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
)

// TestOutOfOrder: an answer that does not fit ends the connection. However often
// we close it, the message is not to blame; and nobody else is taken for the cause.
func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	answer := func(kind byte, id uint16) packets.ControlPacket {
		switch kind {
		case packets.Pubcomp:
			a := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
			a.MessageID = id
			return a
		case packets.Puback:
			a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			a.MessageID = id
			return a
		}
		return connack(0)
	}
	tests := []struct {
		name string
		bad  func(p packets.ControlPacket) packets.ControlPacket // nil: this packet is answered well
	}{
		{"PUBCOMP to PUBLISH", func(p packets.ControlPacket) packets.ControlPacket {
			if m, ok := p.(*packets.PublishPacket); ok && m.Qos == 2 {
				return answer(packets.Pubcomp, m.MessageID)
			}
			return nil
		}},
		{"PUBACK after PUBREC", func(p packets.ControlPacket) packets.ControlPacket {
			if m, ok := p.(*packets.PubrelPacket); ok {
				return answer(packets.Puback, m.MessageID)
			}
			return nil
		}},
		{"a second CONNACK", func(p packets.ControlPacket) packets.ControlPacket {
			if m, ok := p.(*packets.PublishPacket); ok && m.Qos == 2 {
				return answer(packets.Connack, 0)
			}
			return nil
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var left atomic.Int32
			left.Store(deathsMost + 2)
			f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
				if bad := tc.bad(p); bad != nil && left.Add(-1) >= 0 {
					return []packets.ControlPacket{bad}, false
				}
				out := polite(p)
				if c, ok := p.(*packets.ConnectPacket); ok && !c.CleanSession && c.ClientIdentifier == "chatrelay" && left.Load() <= deathsMost+1 {
					out[0].(*packets.ConnackPacket).SessionPresent = true
				}
				return out, false
			})
			m := bridgetest.NewMemory(t)
			log := &testLog{tb: t}
			cfg := testConfig(t, f.url())
			cfg.Log = cfg.Log.Output(log)
			l := start(t, m, cfg)
			l.up(t)
			ref := m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
			l.eventually(t, "sent in the end", func() bool { return bridgetest.AllClosed(m.Sum()) })
			if _, err := m.Delivery(ref); err != nil {
				t.Errorf("dead: %v", err)
			}
			if !log.has("breaks MQTT") || log.has("another client") || log.has("lost our session") {
				t.Error("not called by its name")
			}
		})
	}
}
