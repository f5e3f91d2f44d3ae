package stanza

import "time"

// StampLayout is how a time is written (XEP-0082).
const StampLayout = "2006-01-02T15:04:05Z"

// Skew is how far our clock and a server's may differ.
const Skew = 5 * time.Minute
