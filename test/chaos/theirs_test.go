package chaos

import (
	"bufio"
	"math"
	"os"
	"strings"

	"chatrelay/test/stage"
)

// ours takes off the counts what a server had acknowledged and then lost by itself, or gave out twice, where that can be
// shown: mosquitto answers a moment before it saves, and ejabberd acknowledges a stanza before the addressee's
// archive has it. A loss is theirs if
//   - it came by MQTT, the broker was killed, and it never came to the relay's door;
//   - it was to go to MQTT, the broker was killed, and it had answered the relay's PUBLISH of it;
//   - it came by MQTT, and the archive of the relay's account has it: so the server took it;
//   - it came by XMPP, and the archive of the relay's account has it not: so the server never gave it out.
//
// What came twice to MQTT is the broker's doing if it was killed and the relay published it once, or never if it came by
// MQTT.
func (r *trial) ours(c stage.Counts, server string) stage.Counts {
	r.t.Helper()
	kept := map[string][]string{}
	if r.f.xmpp.MAM {
		var err error
		kept, err = r.tr.Kept(r.ctx)
		r.check("archive of the relay", err)
	}
	came := r.atDoor()
	gone := map[string]bool{} // to the relay it never came
	broker, far := 0, 0
	for _, id := range r.o.Lost(math.MaxInt) {
		switch byXMPP := strings.HasPrefix(id, "x|"); {
		case !byXMPP && r.f.saves && !came[id]:
			gone[id] = true
			broker++
			c.LostX, c.AckedM, c.Acked = c.LostX-1, c.AckedM-1, c.Acked-1
		case byXMPP && r.f.saves && r.tap.taken(id):
			broker++
			c.LostM--
		case !byXMPP && len(kept[id]) > 0:
			far++
			c.LostX--
		case byXMPP && r.f.xmpp.MAM && len(kept[id]) == 0 && !came[id]:
			gone[id] = true
			far++
			c.LostM, c.Acked = c.LostM-1, c.Acked-1
		default:
			r.t.Logf("lost %s: at the relay's door: %v; in the archive of its account: %v", id, came[id], kept[id])
		}
	}
	notices := 0
	for _, id := range r.o.Untold() {
		switch {
		case gone[id]:
			c.Untold--
		case r.f.saves && r.tap.taken(noticeOf(id)):
			notices++
			c.Untold--
		default:
			r.t.Logf("the sender of %s was told nothing", id)
		}
	}
	twice := 0
	for id, extra := range r.o.Doubled() {
		switch byXMPP := strings.HasPrefix(id, "x|"); {
		case r.f.saves && byXMPP && r.tap.times(id) == 1:
			twice += extra
			c.DupM -= extra
		case r.f.saves && !byXMPP && r.tap.times(id) == 0:
			twice += extra
			c.Echo -= extra
		default:
			r.t.Logf("%s came %d times too often", id, extra)
		}
	}
	for _, n := range []struct {
		count int
		what  string
	}{
		{broker, "lost by mosquitto, which answers before it saves: %d"},
		{notices, "notices lost by mosquitto: %d"},
		{twice, "given out again by mosquitto, which got it once: %d"},
		{far, "lost by " + server + ", which acknowledges before the addressee's archive has it: %d"},
	} {
		if n.count > 0 {
			r.note(n.what, n.count)
		}
	}
	return c
}

// atDoor is what was offered to the relay, in whatever life.
func (r *trial) atDoor() map[string]bool {
	r.t.Helper()
	f, err := os.Open(r.listener)
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
