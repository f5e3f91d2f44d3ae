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

// Folded is an address as all servers compare it (RFC 7622 §3.3, §3.2): ejabberd hands on whom a stanza is from, and to, in the letters
// that its sender has typed, at his login or in the stanza. Only ASCII is folded: no landline, and nobody the relay knows by name, is
// meant by what else a server might take for it.
func Folded(address string) string {
	end := strings.IndexByte(address, '/')
	if end < 0 {
		end = len(address)
	}
	for i := range end {
		if 'A' <= address[i] && address[i] <= 'Z' {
			b := []byte(address)
			for ; i < end; i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return address
}

// fold does so with all addresses in an element, and in what is in it.
func (e *Element) fold() {
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Name.Space != "" {
			continue
		}
		switch a.Name.Local {
		case "from", "to", "jid":
			a.Value = Folded(a.Value)
		}
	}
	for _, k := range e.Kids {
		k.fold()
	}
}
