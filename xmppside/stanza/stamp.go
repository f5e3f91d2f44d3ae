package stanza

// Stamped tells whether a message says when it was sent (XEP-0203).
func Stamped(e *Element) bool {
	return e.Child(NSDelay, "delay") != nil || e.Child(NSOldDelay, "x") != nil
}
