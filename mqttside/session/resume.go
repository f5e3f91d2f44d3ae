package session

import "time"

// Resume makes a connection the one that counts and puts in line what is in flight, in order, before anything new. onlyQoS1:
// the broker has no QoS 2. most is how many it is given at once, the others follow as those end (MQTT 5, 4.9: another
// broker, or another configuration, may take fewer than were in flight); 0: all. It returns how many go out again although
// the broker may have had them.
func (s *Session) Resume(c *Conn, state State, onlyQoS1 bool, most int) (maybe int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.session = s
	s.conn, s.moved = c, time.Now()
	if s.undone() {
		s.giveBack()
	}
	all := s.ordered()
	s.free, s.waiting = most, nil
	for _, d := range all {
		if d.phase == released && state == StatePresent && !(onlyQoS1 && d.qos == 2) { // goes whatever the limit says, and has a place
			s.free--
		}
	}
	for _, d := range all {
		if s.resume(d, state, onlyQoS1 && d.qos == 2) {
			maybe++
		}
		switch {
		case most == 0 || d.phase == released:
			s.write(d, d.written)
		case s.free > 0 && len(s.waiting) == 0:
			s.free--
			s.write(d, d.written)
		default:
			s.waiting = append(s.waiting, d)
		}
	}
	return maybe
}

// resume makes a delivery ready; true: the broker may have had it and will take it for a new one. lower: it goes on at
// QoS 1, and what had become of it at QoS 2 counts no more.
func (s *Session) resume(d *delivery, state State, lower bool) (maybe bool) {
	anew := d.uncertain || d.session != s.id
	maybe, d.renamed = d.renamed, false
	switch {
	case state == StateGone, // the packet ids mean nothing to the broker any more
		state == StateUnknown && d.phase == released, // PUBREL to a session that is new would lose it
		lower:
		maybe, anew = d.written, true
		d.phase = published
	case d.qos == 1 && !d.Repeatable:
		maybe = d.written // a broker may take a repeated PUBLISH for another one (MQTT-4.3.2)
	}
	d.resumed = d.written && !anew && !maybe && state == StatePresent
	if !anew {
		s.conn.Raise(d.ticket) // the last connection may have ended before the commit
		return maybe
	}
	if lower {
		s.count(d, -1)
		d.qos = 1
		s.count(d, 1)
	}
	d.session = s.id
	s.bind(d)
	return maybe
}
