package session

// packetIDs are those of what is in flight (MQTT-2.3.1). The session's lock guards them.
type packetIDs struct {
	byID map[uint16]*delivery
	last uint16 // that was taken last
}

// freeID takes one. There is one.
func (t *packetIDs) freeID() uint16 {
	for ok := true; ok; _, ok = t.byID[t.last] {
		if t.last++; t.last >= firstRequest {
			t.last = 1
		}
	}
	return t.last
}

// rename gives a delivery another packet id: the broker says that this one is taken, which it does not say of this message. False: all
// are taken.
func (t *packetIDs) rename(d *delivery) bool {
	if len(t.byID) >= firstRequest-1 {
		return false
	}
	before := d.id
	d.id, d.renamed = t.freeID(), true
	delete(t.byID, before)
	t.byID[d.id] = d
	return true
}
