package bridge

import "time"

// MaybeDuplicate is the counter for deliveries sent again although the wire may have had them, Reordered for those that
// overtook one which the far side wanted later.
const (
	MaybeDuplicate = "maybe_duplicate"
	Reordered      = "reordered"
)

// Unconfirmed is the counter for deliveries that were settled and then bounced, for nothing proves that they arrived.
const Unconfirmed = "unconfirmed"

// Counter names one durable counter.
type Counter struct {
	Name   string // received, delivered, duplicate, ignored, refused, dead, bounced, maybe_duplicate, …
	Side   SideID // where the message came from; for maybe_duplicate where it went
	Reason string // fixed word, for ignored, refused, dead and bounced; else empty
}

// Totals are the journal's own view of the promise: for each origin, once nothing is in the hands of the
// intake, received = delivered + duplicate + ignored + refused + dead + pending. Unit: messages as offered.
type Totals struct {
	Counts  map[Counter]int64
	Pending map[SideID]int64 // messages taken and not closed, by origin
	Open    map[SideID]int64 // message deliveries not closed, by destination
	Oldest  time.Duration    // how long the oldest pending message has waited; zero: none
	Keys    int
	Bytes   int64 // in use
	Limit   int64
	Full    bool // nothing is taken now
	// Deliveries wait, those of answers too; MaxDeliveries is their limit (0: none), and Crowded that it is
	// the reason for Full.
	Deliveries, MaxDeliveries int64
	Crowded                   bool
	WriteErr                  string // why nothing can be written (disk full); empty: all well
}

// Balance is what the status page reads. The journal implements it.
type Balance interface {
	Totals() Totals
}
