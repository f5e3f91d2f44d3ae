package stanza

import "strings"

// MostID is how long an id may be that is kept in the journal.
const MostID = 1024

// Bare is a JID without its resource.
func Bare(address string) string {
	bare, _, _ := strings.Cut(address, "/")
	return bare
}

// Resource is what Bare leaves out.
func Resource(address string) string {
	_, resource, _ := strings.Cut(address, "/")
	return resource
}

// Domain is the domain of a bare JID.
func Domain(bare string) string {
	if _, domain, ok := strings.Cut(bare, "@"); ok {
		return domain
	}
	return bare
}
