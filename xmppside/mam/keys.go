package mam

// Keys of the side's memory in the journal. Never rename one.
const (
	keyArchive   = "archive" // there: the server has one
	keyCursor    = "cursor"  // JSON
	keyReadyFor  = "opened"  // XEP-0198 id of the stream whose login was gone through with
	keyFilledFor = "walked"  // and of the one behind whose login nothing is left to be taken from an archive
	keyAlways    = "always"  // there: all that came since the cursor was set is in the archive, by its policy
	keyTaking    = "taking"  // XEP-0198 id of the stream on which the store is taken, which some is in alone
	keyEmptied   = "emptied" // there: a login has taken what the server had stored for us
)
