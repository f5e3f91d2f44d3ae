package session

// EMQX (4.x and 5.x, as its source reads: emqx_session:publish, which does not look at DUP) answers a QoS 2 PUBLISH whose packet
// id waits for PUBREL by PUBREC 0x91, packet identifier in use, also if it is the same message that comes again because the
// connection broke before its PUBREC. It has that message, and has passed it on. Others answer by PUBREC without a code, as for
// MQTT-4.3.3. Test: TestInUse.

// known tells whether an answer by a code that refuses says that the broker has the message: it went out under that packet id
// in that session, so the packet id is in use for it.
func (d *delivery) known(p *packet) bool {
	return p.kind == kindPubrec && p.code == CodeIDInUse && d.qos == 2 && (d.resumed || d.phase == released)
}
