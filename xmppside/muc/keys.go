package muc

// Keys of the side's memory in the journal. Never rename one.
const (
	keyRoom     = "room."     // and its JID: our nick there
	keySlow     = "slow."     // and a room's JID: when it last wanted a post later, Unix ms, 8 bytes
	keyOccupant = "occupant." // and room/nick: the bare JID behind it
	keyInvited  = "invited."  // and a room's JID: who has invited us there
	keyMembers  = "members."  // and a room's JID: who is on its lists, a bare JID a line (component)
	keyRole     = "role."     // and room/nick: that occupant's role
)
