package proxy

import "testing"

// By MQTT 5 a PUBLISH has properties, either way.
func TestMQTT5Packets(t *testing.T) {
	addr, conns := target(t)
	seen := make(chan Packet, 8)
	p := NewMQTT(t, addr, func(p Packet) Verdict { seen <- p; return Pass })
	c, s := pair(t, p, conns)
	const connect, none, some = "\x10\x0e\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x01c", "\x30\x06\x00\x01a\x00hi", "\x30\x0b\x00\x01a\x05\x02\x00\x00\x00\x09hi"
	say(t, c, connect)
	hear(t, s, connect)
	<-seen
	for _, raw := range []string{none, some} {
		say(t, c, raw)
		hear(t, s, raw)
		up := <-seen
		say(t, s, raw)
		hear(t, c, raw)
		if down := <-seen; string(up.Payload) != "hi" || string(down.Payload) != "hi" {
			t.Errorf("%q: %q up, %q down", raw, up.Payload, down.Payload)
		}
	}
}
