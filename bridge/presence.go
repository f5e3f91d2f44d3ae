package bridge

// Presence is whether a device is there, as it says itself. It is worth nothing later, and never in the journal.
type Presence uint8

// Presences.
const (
	PresenceUnknown Presence = iota // it says nothing
	PresenceOffline
	PresenceAway
	PresenceOnline
)
