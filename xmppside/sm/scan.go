package sm

import "bytes"

// event is what one byte of a stream brought about.
type event uint8

const (
	nothing   event = iota
	started         // the name of an element below the stream's root is complete: scanner.name
	closed          // such an element is complete
	streamEnd       // </stream:stream>
)

type scanState uint8

const (
	inText scanState = iota
	afterLess
	inName  // of a start tag
	inTag   // of a start tag, behind its name
	inQuote // of an attribute
	inEndTag
	inInstruction // <?…?>
	afterBang     // <!
	inComment     // <!--…-->
	inCDATA       // <![CDATA[…]]>
	inDirective   // <!…>
)

// scanner follows the depth of an XML stream byte by byte. It does not check the XML; a stream that is
// not well formed ends soon enough.
type scanner struct {
	state scanState
	depth int
	name  []byte // of the last start tag below the root
	quote byte
	slash bool    // the last byte of the tag was a slash
	tail  [2]byte // the last bytes, for the ends of comments and the like
	bang  []byte  // what followed <!
	odd   bool    // there was something that ends elsewhere for the decoder, or may: an instruction, a comment, a directive

	// Since the last element below the root has ended.
	size  int // bytes
	nodes int // start tags and attributes
}

func (s *scanner) step(b byte) event {
	s.size++
	switch s.state {
	case inText:
		if b == '<' {
			s.state = afterLess
		}
	case afterLess:
		s.less(b)
	case inName:
		return s.inName(b)
	case inTag:
		return s.inTag(b)
	case inQuote:
		if b == s.quote {
			s.state = inTag
		}
	case inEndTag:
		if b == '>' {
			return s.up()
		}
	case afterBang:
		s.afterBang(b)
	case inInstruction:
		s.until(b, '?', 0)
	case inComment:
		s.until(b, '-', '-')
	case inCDATA:
		s.until(b, ']', ']')
	case inDirective:
		s.until(b, 0, 0)
	}
	return nothing
}

func (s *scanner) less(b byte) {
	switch b {
	case '/':
		s.state = inEndTag
	case '?':
		s.state, s.tail, s.odd = inInstruction, [2]byte{}, true
	case '!':
		s.state, s.bang = afterBang, s.bang[:0]
	default:
		s.nodes++
		s.state, s.slash = inName, false
		if s.depth == 1 {
			s.name = append(s.name[:0], b)
		}
	}
}

func (s *scanner) inName(b byte) event {
	switch b {
	case ' ', '\t', '\r', '\n', '/', '>':
	default:
		if s.depth == 1 {
			s.name = append(s.name, b)
		}
		return nothing
	}
	s.state = inTag
	top := s.depth == 1
	s.inTag(b)
	if top {
		return started
	}
	return nothing
}

func (s *scanner) inTag(b byte) event {
	switch b {
	case '"', '\'':
		s.nodes++
		s.state, s.quote = inQuote, b
	case '/':
		s.slash = true
		return nothing
	case '>':
		s.depth++
		s.state = inText
		if s.slash {
			return s.up()
		}
	}
	s.slash = false
	return nothing
}

// up leaves an element.
func (s *scanner) up() event {
	s.state = inText
	s.depth--
	switch s.depth {
	case 1:
		s.size, s.nodes = 0, 0
		return closed
	case 0:
		return streamEnd
	}
	return nothing
}

func (s *scanner) afterBang(b byte) {
	s.bang = append(s.bang, b)
	s.tail = [2]byte{}
	switch {
	case bytes.Equal(s.bang, []byte("--")):
		s.state, s.odd = inComment, true
	case bytes.Equal(s.bang, []byte("[CDATA[")):
		s.state = inCDATA
	case b == '>':
		s.state, s.odd = inText, true
	case !bytes.HasPrefix([]byte("--"), s.bang) && !bytes.HasPrefix([]byte("[CDATA["), s.bang):
		s.state, s.odd = inDirective, true
	}
}

// until waits for '>' behind x and y, the last one or two bytes before it (0: any).
func (s *scanner) until(b, x, y byte) {
	if b == '>' && (x == 0 || s.tail[1] == x) && (y == 0 || s.tail[0] == y) {
		s.state = inText
	}
	s.tail[0], s.tail[1] = s.tail[1], b
}

// isStanza tells whether the element last opened is counted: XEP-0198 §4 counts message, iq and presence.
func (s *scanner) isStanza() bool {
	switch string(s.name) {
	case "message", "iq", "presence":
		return true
	}
	return false
}
