package bridgetest

import (
	"testing"

	"chatrelay/bridge"
)

// Journal is all that a journal is to the rest of the house.
type Journal interface {
	bridge.Appender
	bridge.Queue
	bridge.SideJournal
	bridge.Balance
}

// RunJournal holds a journal against the contracts in bridge/ports.go. open gives an empty journal with all notices
// on, room for everything and a true clock; it also sees to it that the journal is shut when the test ends.
func RunJournal(t *testing.T, open func(t *testing.T) Journal) {
	for _, part := range []struct {
		name string
		run  func(j *kit)
	}{
		{"outcomes are final and counted", outcomes},
		{"a refusal leaves no key", refusalLeavesNoKey},
		{"a refusal of what is known is a duplicate", refusalOfTheKnown},
		{"numbers are given once", numbers},
		{"twins in one call", twins},
		{"twins in flight", twinsInFlight},
		{"an echo is silence", echo},
		{"a forged twin swallows nothing", forgedTwin},
		{"a retry is answered by what became of the first", retries},
		{"a retry asks for a receipt", retryReceipt},
		{"a retry of who may no longer post", retryOutsider},
		{"a redelivery is silence", redelivery},
		{"another inbox copy is silence", otherInbox},
		{"the wire's identity decides", wireKey},
		{"one notice for a direct message", directNotice},
		{"one notice for a group, at its last delivery", groupNotice},
		{"a group fails with how many and who", groupFails},
		{"a receipt follows sent only", receipts},
		{"a later failure is told by stanza error", laterFailure},
		{"so is a bounce, once", laterBounce},

		{"order in a lane", laneOrder},
		{"lanes in turn", lanesInTurn},
		{"next waits", nextWaits},
		{"next ends with its context", nextEnds},
		{"release puts a delivery back in its place", release},
		{"defer holds only its lane", deferHolds},
		{"defer ends", deferEnds},
		{"hold is no attempt", holdCountsNoAttempt},
		{"a delivery keeps what is to be asked", asksAgain},
		{"copies of one group wait behind each other only", groupLane},
		{"and no longer than they must", groupLaneEnds},
		{"delayed once, and only what is pending", delayed},
		{"delayed is taken back by the outcome", delayedCancelled},

		{"what is bound is not handed out", boundIsHeld},
		{"bound in order of binding", boundOrder},
		{"unbind puts deliveries back in their places", unbind},
		{"bind, unbind and bind again in one breath", bindAgain},
		{"tickets", tickets},
		{"closing twice, or the unknown", closeTwice},
		{"closing what waits", closeWaiting},
		{"state is kept by side", state},
		{"state goes with the work", stateWithWork},
		{"counters", counters},
		{"a bounce fails what was sent", bounce},
		{"a bounce before the close is a dead letter", bounceOpen},
		{"a bounced answer says nothing of the message", bounceAnswer},
		{"bounces of what never was", bounceUnknown},
		{"what is not confirmed is bounced, once", unconfirmed},
		{"what is not confirmed is bounced by its length", unconfirmedByLength},
		{"a group with a copy that is not confirmed", unconfirmedGroup},
		{"many hands at once", manyHands},
		{"any order of events adds up", anyOrder},
	} {
		t.Run(part.name, func(t *testing.T) {
			j := &kit{T: t, Journal: open(t)}
			part.run(j)
			j.sum()
		})
	}
}
