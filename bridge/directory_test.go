package bridge

import (
	"slices"
	"testing"
	"time"
)

// TestOneDirectoryForOneMessage: one that takes another's place while a message is judged counts for the next one.
func TestOneDirectoryForOneMessage(t *testing.T) {
	j := newJudge(XMPP, time.Now)
	before, after := NewDirectory(Groups{room: {"1001", "1002"}}), NewDirectory(Groups{})
	asked := 0
	j.directory = func() *Directory {
		if asked++; asked == 1 {
			return before
		}
		return after
	}
	in := func() *Inbound {
		return &Inbound{From: "1001", Body: []byte(`{"chatType":2,"content":"x","from":"1001","groupJid":"` + room + `","timeStamp":1}`)}
	}
	rec, why := j.record(in())
	to := []string{}
	for _, l := range rec.Deliveries {
		to = append(to, l.To)
	}
	if why != nil || !slices.Equal(to, []string{"1002", room}) {
		t.Errorf("by the directory of before: %v, %v", to, why)
	}
	if _, why = j.record(in()); why == nil || why.Reason != "unknown_room" {
		t.Errorf("by the new one: %v", why)
	}
}

// addsOne is a room that counts one more as its own.
type addsOne struct{}

func (addsOne) Members(_ string, rows []string) []string {
	return append(slices.Clip(rows), "2001", "1001")
}

func (addsOne) Follows(room string) bool { return room == "invited@rooms" }

// Whom the room itself counts as its own gets a copy like who has a row, once; the sender gets none.
func TestRoomsOwnMembers(t *testing.T) {
	j := newJudge(XMPP, time.Now)
	j.directory = func() *Directory { return NewDirectory(Groups{room: {"1001", "1002"}}).With(addsOne{}) }
	rec, why := j.record(&Inbound{From: "1002", Room: room, Body: []byte(`{"chatType":2,"content":"x","from":"1002","groupJid":"` + room + `","timeStamp":1}`)})
	to := []string{}
	for _, l := range rec.Deliveries {
		to = append(to, l.To)
	}
	if why != nil || !slices.Equal(to, []string{"1001", "2001"}) {
		t.Errorf("%v, %v", to, why)
	}
	if d := j.directory(); !d.Serves(room) || !d.Serves("invited@rooms") || d.Serves("other@rooms") {
		t.Error("a room is served that was configured, or to which the relay was invited")
	}
}
