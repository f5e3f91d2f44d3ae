package sm

// mellium 0.23 holds the rules of a stream's top level at every depth (internal/stream, Reader; seen, no issue is known): an
// element of the stream's namespace anywhere in a stanza, which any user can send to anybody, ends the session. The server
// would bring that stanza again after each resumption, without end. So such names are read as others, which nobody knows:
// one byte differs. Tests: TestStreamNames; xmppside TestStreamElementInside.

const (
	streamSpace  = "http://etherx.jabber.org/streams"
	streamPrefix = "stream" // bound to it by the servers' stream headers
	declares     = "xmlns"  // the attributes that bind one
)

// streamNames finds them, byte by byte beside a scanner. Each counter is how much of its word was read; -1: it is another.
type streamNames struct {
	prefix int
	attr   int
	gap    bool // blanks behind an attribute's name
	value  int
}

// read returns b, or what the decoder is to read in its place. s has not seen b yet.
func (n *streamNames) read(s *scanner, b byte) byte {
	switch s.state {
	case afterLess:
		n.prefix = 0
		if b != '/' {
			n.prefix = further(n.prefix, streamPrefix, b)
		}
		n.attr, n.gap = 0, false
	case inName, inEndTag:
		within := s.depth > 1
		if s.state == inEndTag {
			within = s.depth > 2
		}
		if n.prefix == len(streamPrefix) && b == ':' && within {
			n.prefix = -1
			return '_'
		}
		n.prefix = further(n.prefix, streamPrefix, b)
	case inTag:
		n.name(b)
	case inQuote:
		if n.value = further(n.value, streamSpace, b); n.value == len(streamSpace) && n.attr == len(declares) && (s.depth > 1 || s.isStanza()) {
			return 'S'
		}
	}
	return b
}

// name follows the name of an attribute up to its value.
func (n *streamNames) name(b byte) {
	switch b {
	case ' ', '\t', '\r', '\n':
		n.gap = true
	case '=':
	case '"', '\'':
		n.value, n.gap = 0, true
	default:
		if n.gap {
			n.attr, n.gap = 0, false
		}
		if n.attr < len(declares) { // xmlns, and xmlns: with a prefix
			n.attr = further(n.attr, declares, b)
		}
	}
}

// further is how much of a word was read with b, if at bytes of it were before.
func further(at int, word string, b byte) int {
	if at < 0 || at >= len(word) || word[at] != b {
		return -1
	}
	return at + 1
}
