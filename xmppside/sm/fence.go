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
	prefix    string   // of the pings' ids; empty: there is XEP-0198
	component string   // its domain; empty: we are a client
	pings     []uint64 // that have not come back
}

const fencePrefix = "sm-"

// newFence names a fence by when the connection was ready, so that two connections of one component know who was first, and by whose
// it is: what a connection of ours had sent before it broke may come back on the next one.
func newFence(component, self string, now time.Time) fence {
	return fence{prefix: fencePrefix + strconv.FormatInt(now.UnixMilli(), 10) + "-" + self + "-" + token() + "-", component: component}
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

// rival tells whether a stanza is the ping of another connection that is the same component, and whether that is another relay's that
// was first. ejabberd 23.01 lets several in, and deals out among them what comes; it is so by design. Test: TestTwoComponents.
func (f *fence) rival(start *xml.StartElement) (other, first bool) {
	if f.component == "" || start.Name.Local != "iq" || attr(start, "type") != "get" || !ours(attr(start, "from"), f.component) {
		return false, false
	}
	theirs, whose, other := since(attr(start, "id"))
	mine, self, _ := since(f.prefix)
	return other, other && whose != self && theirs < mine
}

// since reads when a fence was made, and by whom.
func since(id string) (ms int64, whose string, ok bool) {
	rest, ok := strings.CutPrefix(id, fencePrefix)
	text, rest, cut := strings.Cut(rest, "-")
	whose, _, more := strings.Cut(rest, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	return ms, whose, ok && cut && more && err == nil
}
