package muc

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatrelay/xmppside/stanza"
)

// What is found by address is what a look at all would find, however people come, go, change addresses and share one.
func TestOccupantsByAddress(t *testing.T) {
	landline := func(bare string) bool { return strings.HasPrefix(bare, "3") }
	rnd, o, people := rand.New(rand.NewPCG(1, 2)), newOccupants(landline), map[string]string{}
	for range 2000 {
		nick, real := fmt.Sprint("n", rnd.IntN(12)), fmt.Sprintf("%d00%d@chat.test/%d", 2+rnd.IntN(2), rnd.IntN(3), rnd.IntN(3))
		if rnd.IntN(3) > 0 {
			o.put(nick, real)
			people[nick] = real
		} else {
			_, known := people[nick]
			if o.remove(nick) != known {
				t.Fatalf("%s was there: %v", nick, known)
			}
			delete(people, nick)
		}
		nicks, seated := map[string][]string{}, 0
		for _, n := range slices.Sorted(maps.Keys(people)) {
			bare := stanza.Bare(people[n])
			nicks[bare] = append(nicks[bare], n)
			if landline(bare) {
				seated++
			}
		}
		for _, of := range o.nicks {
			slices.Sort(of)
		}
		if diff := cmp.Diff(nicks, o.nicks); diff != "" || o.seated != seated || !maps.Equal(o.real, people) {
			t.Fatalf("%d of landlines, want %d\n%s", o.seated, seated, diff)
		}
	}
}
