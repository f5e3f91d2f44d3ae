package stanza

import "context"

// Asker sends a question (IQ get or set) and waits for the answer. An *Error is what was answered; to: empty is our own account.
type Asker interface {
	Ask(ctx context.Context, to, typ, payload string) (*Element, error)
}

// Disco is a question for what somebody is and can do (XEP-0030).
const Disco = "<query xmlns='" + NSDisco + "'/>"

// HasFeature tells whether an answer to that names a feature.
func HasFeature(info *Element, name string) bool {
	q := info.Child(NSDisco, "query")
	if q == nil {
		return false
	}
	for _, f := range q.All(NSDisco, "feature") {
		if f.Get("var") == name {
			return true
		}
	}
	return false
}
