package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// The same burst goes into a room that takes one message in so many seconds, and bounces the rest to be sent later.
const (
	burst         = 15
	burstInterval = 0.3
)

// TestRoomBurst: all of a burst arrives, in order, and no sender is told "sent" before the room has handed it out.
func TestRoomBurst(t *testing.T) {
	t.Parallel()
	c := newForgivingChat(t, stage.Plan{Start: servers.NewEjabberd, XMPP: servers.XMPPConfig{RoomInterval: burstInterval}}, func(e event) bool {
		return e.env.Status == "delayed" // on a busy machine
	})
	room := c.XMPP.Room("team")
	var notices []stage.Envelope
	for i := range burst {
		e := stage.Grouped("1003", room, fmt.Sprint("burst ", i))
		c.publish(t, "1003", "1001", e.String())
		notices = append(notices, e)
	}
	heard := func(e event) bool { return e.side == "xmpp" && e.inbox == "1001" && e.st.Type == "groupchat" }
	sent := func(e event) bool { return e.env.Notice() && e.env.Status == "sent" }
	told, since := 0, time.Now()                                                                                // so many were "sent", then
	for limit := time.Now().Add(2 * time.Minute); c.h.count(heard) < burst; time.Sleep(50 * time.Millisecond) { // a poll's pause
		if c.h.count(heard) >= told {
			told, since = c.h.count(sent), time.Now()
		}
		// A notice may be a step ahead of the people's clients on a busy machine. The whole burst takes twice as long.
		if time.Since(since) > burst*burstInterval/2*1000*time.Millisecond {
			t.Fatalf("%d are \"sent\", and %d were heard", told, c.h.count(heard))
		}
		if time.Now().After(limit) {
			t.Fatalf("%d of %d were heard", c.h.count(heard), burst)
		}
	}
	var got, want []string
	for i, e := range c.h.all(heard) {
		got, want = append(got, e.env.Content), append(want, notices[i].Content)
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("heard %s", strings.Join(got, ", "))
	}
	for _, e := range notices {
		c.h.wantMQTT(t, "1001", e.String()) // the broker's own delivery
		c.h.wantRoom(t, "chatrelay", e.String())
		c.h.wantNotice(t, "1003", "sent", e.Content)
	}
	c.h.wantNothing(t)
	c.Relay.Stop()
}
