package xmppside

import (
	"time"

	"chatrelay/bridge"
)

const (
	mostDevices = 100_000 // of which it is remembered whether they are there

	presenceEvery = 5 * time.Second  // in which people are told once of a landline that comes and goes
	silentFor     = 10 * time.Second // from the start: so long they are not told of one whose device has said nothing yet
	lateEvery     = time.Second      // those of which they are to be told later are looked at
)

// devices is which landlines' devices are there, as they say themselves. contacts.mu guards it.
type devices struct {
	report bool // they say so; else a landline is there while the relay is
	begun  time.Time
	known  map[string]*device
	late   map[string]bool // landlines of which people are to be told, not now
	looked time.Time       // at those
}

// device is that of one landline.
type device struct {
	is   bridge.Presence
	told time.Time
}

func newDevices(report bool) devices {
	return devices{report: report, begun: time.Now(), known: map[string]*device{}, late: map[string]bool{}}
}

// Present takes what a device says of itself. It never waits, and may be called from any goroutine.
func (s *Side) Present(landline string, p bridge.Presence) {
	s.contacts.present(landline, p, time.Now())
}

// present has those told who see the landline.
func (k *contacts) present(landline string, is bridge.Presence, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.devices.known[landline]
	switch {
	case d == nil && (is == bridge.PresenceUnknown || len(k.devices.known) >= mostDevices), d != nil && d.is == is:
		return
	case d == nil:
		d = &device{}
		k.devices.known[landline] = d
	}
	d.is = is
	if now.Sub(d.told) < presenceEvery {
		k.devices.late[landline] = true
		return
	}
	k.tellDevice(landline, now)
}

// tellDevice queues all who see a landline, and forgets one that says nothing any more. k.mu is held.
func (k *contacts) tellDevice(landline string, now time.Time) {
	delete(k.devices.late, landline)
	if d := k.devices.known[landline]; d != nil {
		d.told = now
		if d.is == bridge.PresenceUnknown {
			delete(k.devices.known, landline)
		}
	}
	k.tellOf(landline)
}

// tellLate queues those of whom people may be told by now.
func (k *contacts) tellLate(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.devices.late) == 0 || now.Sub(k.devices.looked) < lateEvery {
		return
	}
	k.devices.looked = now
	for landline := range k.devices.late {
		if d := k.devices.known[landline]; d != nil && now.Sub(d.told) >= presenceEvery || d == nil && !k.devices.waits(landline, now) {
			k.tellDevice(landline, now)
		}
	}
}

// waits tells whether it is too early to say that a device is not there: it has said nothing, and the relay has just started.
func (v *devices) waits(landline string, now time.Time) bool {
	return v.report && v.known[landline] == nil && now.Sub(v.begun) < silentFor
}

// shown is how a landline is seen: the type of its presence, and what stands in it.
func (v *devices) shown(landline string) (typ, show string) {
	if !v.report {
		return "", ""
	}
	if d := v.known[landline]; d != nil {
		switch d.is {
		case bridge.PresenceOnline:
			return "", ""
		case bridge.PresenceAway:
			return "", "away"
		}
	}
	return "unavailable", ""
}
