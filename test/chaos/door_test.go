package chaos

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// inverted is how many messages from XMPP were out of order already when their server brought them, as the relay
// noted at its door; counted as the oracle counts.
func (r *trial) inverted() int {
	r.t.Helper()
	f, err := os.Open(r.listener)
	if err != nil {
		r.t.Error(err)
		return 0
	}
	defer f.Close()
	seen, last, n := map[string]bool{}, map[string]int{}, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		id := lines.Text()
		cut := strings.LastIndexByte(id, '|')
		if !strings.HasPrefix(id, "x|") || seen[id] {
			continue
		}
		seen[id] = true
		lane := id[:cut]
		k, err := strconv.Atoi(id[cut+1:])
		if err != nil {
			continue // no numbered message
		}
		if k < last[lane] {
			n++
		}
		last[lane] = max(last[lane], k)
	}
	return n
}
