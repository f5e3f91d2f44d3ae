package console

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"chatrelay/internal/admin"
)

// Whoever guesses gets so many tries at once, and then one each so often: one address, and all others together. Who asks
// on this machine itself, and not for others, is held up by nobody else, and so can always log in.
const (
	triesOfOne  = 8
	oneAgain    = 10 * time.Second
	triesOfAll  = 100
	allAgain    = time.Second
	mostGuesser = 4096
)

// tries is how many are left, as of a moment.
type tries struct {
	left float64
	at   time.Time
}

func (t tries) filled(now time.Time, most float64, again time.Duration) tries {
	if t.at.IsZero() {
		return tries{most, now}
	}
	return tries{min(most, t.left+max(0, now.Sub(t.at).Seconds()/again.Seconds())), now}
}

// attempts limits logins that fail. One is taken before the token is looked at, and given back if it was right: else
// many at once would pass before the first has failed.
type attempts struct {
	mu  sync.Mutex // guards all below
	by  map[origin]tries
	all tries
}

// take tells how long to wait; 0: go on.
func (a *attempts) take(from origin, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[origin]tries{}
	}
	if len(a.by) >= mostGuesser {
		a.forget(now)
	}
	one := a.by[from].filled(now, triesOfOne, oneAgain)
	a.all = a.all.filled(now, triesOfAll, allAgain)
	switch {
	case one.left < 1:
		return time.Duration((1 - one.left) * float64(oneAgain))
	case a.all.left < 1 && !from.local:
		return time.Duration((1 - a.all.left) * float64(allAgain))
	}
	one.left--
	a.by[from] = one
	if !from.local {
		a.all.left--
	}
	return 0
}

// giveBack undoes a take.
func (a *attempts) giveBack(from origin) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one, ok := a.by[from]; ok {
		one.left++
		a.by[from] = one
	}
	if !from.local {
		a.all.left++
	}
}

// forget lets go of who has all tries again; if that is nobody, of all: the limit for all together still holds.
func (a *attempts) forget(now time.Time) {
	for from, one := range a.by {
		if one.filled(now, triesOfOne, oneAgain).left >= triesOfOne {
			delete(a.by, from)
		}
	}
	if len(a.by) >= mostGuesser {
		clear(a.by)
	}
}

// origin is whose attempts are counted together: an address's, and where it is a proxy's, those of the one it asks for.
type origin struct {
	net netip.Prefix
	via string // by a proxy: whom it names last, which is all that it vouches for

	local bool // on this machine, and by no proxy
}

func originOf(r *http.Request) origin {
	out := origin{net: network(peer(r)), local: peer(r).IsLoopback()}
	if admin.Forwarded(r.Header) {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		named, _ := netip.ParseAddr(strings.TrimSpace(all[len(all)-1]))
		out.local = false
		out.via = "proxy " + network(named.Unmap().WithZone("")).String()
	}
	return out
}

// network is whom an address belongs to: who has one IPv6 address has 2^64 of them.
func network(peer netip.Addr) netip.Prefix {
	bits := peer.BitLen()
	if peer.Is6() {
		bits = 64
	}
	p, _ := peer.Prefix(bits) // an address that is none gives the zero prefix
	return p
}
