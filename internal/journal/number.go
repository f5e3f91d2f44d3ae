package journal

const (
	// perMS: so many numbers belong to a millisecond of the clock. Below 64,000 messages a second no journal comes
	// to numbers that are still ahead of the clock.
	perMS = 64
	// numberEnd: what is above is for a slot (bridge.Ref). The clock would come there in 2109; one that says so
	// now is wrong.
	numberEnd = 1 << 48
)

// firstNumber is where the numbers of this process begin: behind all that the journal knows to be given out, and at
// the clock, so that a copy of the folder that is brought back gives no message a number that another one had
// since the copy was made. Ids of stanzas, and those spliced into messages, are made of it.
func firstNumber(lease uint64, nowMS int64) uint64 {
	if nowMS <= 0 || nowMS >= numberEnd/perMS {
		return lease
	}
	return max(lease, uint64(nowMS)*perMS)
}
