package mqttside

import (
	"errors"
	"strconv"
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
)

var errNotBound = errors.New("a message could not be bound")

// store is what paho takes for its store: the outbox seen from one link. Inbound packets are not kept: rows
// know them. Del does nothing, for legs are closed by the packets themselves, as wire sees them.
type store struct {
	k   *link
	box *outbox
	// sending is the leg that Publish is being called for; set and read by Send's goroutine only.
	sending *bridge.Outbound
	bound   bool // Put has bound it
}

func (s *store) Open()      {}
func (s *store) Close()     {}
func (s *store) Reset()     {}
func (s *store) Del(string) {}

// Put is called by Publish, in the caller's goroutine, before the packet goes to the writer.
func (s *store) Put(key string, m packets.ControlPacket) {
	if !strings.HasPrefix(key, "o.") {
		return // an inbound packet, on paho's goroutine
	}
	if p, ok := m.(*packets.PublishPacket); ok && s.sending != nil {
		if s.bound = s.box.put(s.k, *s.sending, p); !s.bound {
			s.k.close(errNotBound) // what is not bound must not leave
		}
	}
}

// All lists what is to be resumed, in order.
func (s *store) All() []string {
	ids := s.box.packetIDs()
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = "o." + strconv.Itoa(int(id))
	}
	return keys
}

// Get makes the packet of a key.
func (s *store) Get(key string) packets.ControlPacket {
	id, err := strconv.ParseUint(strings.TrimPrefix(key, "o."), 10, 16)
	if err != nil {
		return nil
	}
	return s.box.packet(uint16(id))
}
