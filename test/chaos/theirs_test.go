package chaos

import (
	"bufio"
	"math"
	"os"
	"strings"

	"chatrelay/test/stage"
)

// ours takes off the counts what a server had acknowledged and then lost by itself, where that can be shown: mosquitto
// answers a moment before it saves, and ejabberd acknowledges a stanza before the addressee's archive has it. It is
// theirs if
//   - it came by MQTT, the broker was killed, and it never came to the relay's door;
//   - it came by MQTT, and the archive of the relay's account has it: so the server took it;
//   - it came by XMPP, and the archive of the relay's account has it not: so the server never gave it out.
func (r *trial) ours(c stage.Counts, server string) stage.Counts {
	r.t.Helper()
	lost := r.o.Lost(math.MaxInt)
	if len(lost) == 0 {
		return c
	}
	kept := map[string][]string{}
	if r.f.xmpp.MAM {
		var err error
		kept, err = r.tr.Kept(r.ctx)
		r.check("archive of the relay", err)
	}
	came := r.atDoor()
	broker, sent, received := 0, 0, 0
	for _, id := range lost {
		switch byXMPP := strings.HasPrefix(id, "x|"); {
		case !byXMPP && r.f.saves && !came[id]:
			broker++
		case !byXMPP && len(kept[id]) > 0:
			sent++
		case byXMPP && r.f.xmpp.MAM && len(kept[id]) == 0 && !came[id]:
			received++
		default:
			r.t.Logf("lost %s: at the relay's door: %v; in the archive of its account: %v", id, came[id], kept[id])
		}
	}
	if broker > 0 {
		r.note("%d lost by mosquitto, which answers before it saves", broker)
	}
	if sent+received > 0 {
		r.note("%d lost by %s, which acknowledges before the addressee's archive has it", sent+received, server)
	}
	c.AckedM, c.Acked = c.AckedM-broker, c.Acked-broker-received
	c.LostX, c.LostM = c.LostX-broker-sent, c.LostM-received
	c.Untold -= broker + received
	return c
}

// atDoor is what was offered to the relay, in whatever life.
func (r *trial) atDoor() map[string]bool {
	r.t.Helper()
	f, err := os.Open(r.door)
	if err != nil {
		r.t.Error(err)
		return nil
	}
	defer f.Close()
	came := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		came[lines.Text()] = true
	}
	return came
}
