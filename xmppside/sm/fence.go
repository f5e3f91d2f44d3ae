package sm

import (
	"encoding/xml"
	"strconv"
	"strings"
	"time"
)

// fence is the ping that takes the place of <r/> where the server has no XEP-0198: whatever answers it comes behind all that was
// sent before. A component's goes to itself: that needs nobody who answers, and comes back as it went.
type fence struct {
	prefix    string // of the pings' ids; empty: there is XEP-0198
	component string // its domain; empty: we are a client
}

const fencePrefix = "sm-"

// newFence names a fence by when the connection was ready, so that two connections of one component know who was first.
func newFence(component string, now time.Time) fence {
	return fence{prefix: fencePrefix + strconv.FormatInt(now.UnixMilli(), 10) + "-" + token() + "-", component: component}
}

// ping is the one whose answer speaks for stanza n, its own number.
func (f *fence) ping(n uint64) []byte {
	to := ""
	if f.component != "" { // XEP-0114 wants both
		to = " from='" + f.component + "' to='" + f.component + "'"
	}
	return []byte("<iq type='get' id='" + f.prefix + strconv.FormatUint(n, 10) + "'" + to + "><ping xmlns='urn:xmpp:ping'/></iq>")
}

// number is that of the ping which a stanza answers, or is; 0: none. full is our address.
func (f *fence) number(start *xml.StartElement, full string) uint64 {
	id, mine := strings.CutPrefix(attr(start, "id"), f.prefix)
	if f.prefix == "" || !mine || start.Name.Local != "iq" || !ours(attr(start, "from"), full) {
		return 0
	}
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// rival tells whether a stanza is the ping of another connection that is the same component, and whether that one was first.
// ejabberd 23.01 lets several in, and deals out among them what comes; it is so by design. Test: TestTwoComponents.
func (f *fence) rival(start *xml.StartElement) (is, first bool) {
	if f.component == "" || start.Name.Local != "iq" || attr(start, "type") != "get" || !ours(attr(start, "from"), f.component) {
		return false, false
	}
	theirs, is := since(attr(start, "id"))
	mine, _ := since(f.prefix)
	return is, theirs < mine
}

// since reads when a fence was made.
func since(id string) (ms int64, ok bool) {
	rest, ok := strings.CutPrefix(id, fencePrefix)
	text, _, cut := strings.Cut(rest, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	return ms, ok && cut && err == nil
}
