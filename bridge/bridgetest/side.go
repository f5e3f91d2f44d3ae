// Package bridgetest has what the tests of sides and journals share: the suites that every bridge.Side and every
// journal must pass, and fakes for them. Product code never imports it.
package bridgetest

import (
	"testing"

	"chatrelay/bridge"
)

// SideRig is one wire with a far client at its other end. The far client is on the server all the time that the
// server is up, by a way of its own that Cut and Refuse do not touch.
type SideRig struct {
	// New makes a Side on a journal. It is called for each run, with the same account and the same server.
	New func(journal bridge.SideJournal) (bridge.Side, error)
	// Kind, From and To are of the deliveries that reach the far client. Near is the landline that the far client writes
	// to, Far its own: they are what the bodies of the suite, direct envelopes, say.
	Kind      bridge.Kind
	From, To  string
	Near, Far string
	// Inject sends bodies from the far client, in order; nil once the server has them all.
	Inject func(bodies ...string) error
	// Hear waits until the far client has got n bodies since the rig was made and returns all of them, in order.
	Hear func(n int) ([]string, error)
	// Cut resets the side's connections. Refuse does not let new ones in, until it is called with false.
	Cut    func()
	Refuse func(on bool)
	// Stop ends the server in good order, with its data kept; Start brings it back, and the far client with it.
	Stop, Start func() error
	// Redelivers: an offer answered with ErrFull is brought again by the wire.
	Redelivers bool
	// Quiet: goroutines of which packages must be gone once Run has returned ("/mqttside.", "/session.").
	Quiet []string
}

// RunSide is the conformance suite of bridge.Side. rig makes a server and a far client of their own for each case.
func RunSide(t *testing.T, rig func(t *testing.T) SideRig) {
	for _, c := range sideCases {
		t.Run(c.name, func(t *testing.T) {
			w := &sideWorld{SideRig: rig(t), m: NewMemory(t)}
			err := c.run(w)
			if late := w.end(); err == nil {
				err = late
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// sideCase is one promise. It returns an error when the side breaks it, so that the suite can be tested itself.
type sideCase struct {
	name string
	run  func(w *sideWorld) error
}

var sideCases = []sideCase{
	{"takes each message once", takesOnce},
	{"a failed offer is brought again", failedOffer},
	{"what is refused is not brought again", refusedOffer},
	{"a full journal", fullOffer},
	{"publishes each delivery once, bound first", sendsOnce},
	{"a refused delivery is dead, the next one goes", deadDelivery},
	{"cuts both ways", func(w *sideWorld) error { return w.storm(300, 8, false) }},
	{"deaths both ways", func(w *sideWorld) error { return w.storm(300, 8, true) }},
	{"failed commits", failedCommits},
	{"down", sideDown},
	{"the server comes back", serverBack},
	{"leaves in good order", sideLeaves},
}
