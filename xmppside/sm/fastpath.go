package sm

// FastPath reads the most frequent kind of stanza past mellium's decoder, which costs six times as much. It is called by the goroutine
// that reads.
type FastPath interface {
	// Scan looks at what comes next at the top of the stream, in the namespace of stanzas. If that is a whole stanza of its kind,
	// it returns how long it is; 0: the decoder is to read it; less: with more bytes it may be one.
	Scan(next []byte) int
	// Handle is the Handler of the stanza that was scanned last.
	Handle(m Handle)
}

// fastPathIn is f, or none where stanzas have another namespace.
func fastPathIn(space string, f FastPath) FastPath {
	if !stanzaSpace(space) {
		return nil
	}
	return f
}
