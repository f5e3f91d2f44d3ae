package bridge

import "time"

const (
	answersPerSecond = 10 // to one sender
	inboxPerSecond   = 50 // about what came on one inbox, whomever it names as senders: nobody proves a name there
	limiterSenders   = 10_000
)

// limiter bounds the answers that a sender of bad messages gets: a flood of rubbish must not become a flood of
// ours. It is used by one goroutine.
type limiter struct {
	now    func() time.Time
	second int64
	given  map[string]int
}

// NewLimiter is for the journal, where it refuses by itself: may a sender, whom only the message on an inbox names, be
// told of one more refusal? It is used by one goroutine.
func NewLimiter(now func() time.Time) (allowOn func(inbox, sender string) bool) {
	return newLimiter(now).allowOn
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, given: make(map[string]int)}
}

// allow tells whether one more answer may go to the sender in this second. With more senders in one second
// than it can tell apart, those it does not know get none.
func (l *limiter) allow(sender string) bool { return l.atMost(sender, answersPerSecond) }

// allowOn is allow for a sender that only the message on an inbox names.
func (l *limiter) allowOn(inbox, sender string) bool {
	return l.allow(sender) && l.atMost("\x00"+inbox, inboxPerSecond)
}

func (l *limiter) atMost(sender string, most int) bool {
	if s := l.now().Unix(); s != l.second {
		l.second = s
		clear(l.given)
	}
	n, known := l.given[sender]
	if n >= most || (!known && len(l.given) >= limiterSenders) {
		return false
	}
	l.given[sender] = n + 1
	return true
}
