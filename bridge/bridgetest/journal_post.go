package bridgetest

import (
	"bytes"

	"github.com/google/go-cmp/cmp"

	"chatrelay/bridge"
	"chatrelay/message"
)

// undecided is a group message by stanza of which it is not known whether its sender may post: its copies wait in
// the group's own lane.
func undecided(from, text, room string, members ...string) *bridge.Record {
	r := circular(from, text, room, members...)
	for i := range r.Deliveries {
		r.Deliveries[i].Note.Post = &bridge.Post{Room: room, Via: "1009"}
		r.Deliveries[i].Lane = from + "\x00" + room
	}
	return r
}

// decided is one that leaves at once, but for older ones of its group that wait.
func decided(from, text, room string, members ...string) *bridge.Record {
	r := circular(from, text, room, members...)
	for i, l := range r.Deliveries {
		if l.Kind == bridge.KindCopy {
			r.Deliveries[i].Behind = from + "\x00" + room
		}
	}
	return r
}

// asksAgain: what is to be asked stays with the delivery, however often it is given back.
func asksAgain(j *kit) {
	j.take(undecided("1001", "a", "team", "1002"))
	for range 2 {
		o := j.wantMessages(bridge.MQTT, "1002", "")
		if o.Note.Post == nil || *o.Note.Post != (bridge.Post{Room: "team", Via: "1009"}) {
			j.Fatalf("the delivery asks %+v", o.Note.Post)
		}
		j.Release(o.Ref)
	}
	j.take(direct(bridge.XMPP, "1001", "1002", "b"))
	if o := j.next(bridge.MQTT); o.Note.Post == nil {
		o = j.next(bridge.MQTT)
		if o.Note.Post == nil {
			j.Errorf("got %+v", o)
		}
	}
}

// groupLane: copies that wait for a decision hold up what their sender says later in that group, and nothing else.
func groupLane(j *kit) {
	j.take(undecided("1001", "first", "team", "1002", "1003"))
	waits := j.wantMessages(bridge.MQTT, "1002", "")
	j.Release(waits.Ref)
	j.take(decided("1001", "second", "team", "1002", "1003"))
	j.take(direct(bridge.XMPP, "1001", "1002", "direct"), decided("1001", "elsewhere", "other", "1002"), decided("1004", "another's", "team", "1002"))

	others := 0
	var got []string
	for range 7 {
		o := j.next(bridge.MQTT)
		text := "other"
		for _, t := range []string{"first", "second"} {
			if bytes.Contains(o.Body, []byte(t)) {
				text = t
			}
		}
		if text == "other" {
			others++
			continue
		}
		if got = append(got, text+" "+o.To); len(got) == 1 {
			j.bind(o.Ref, "wire") // bound, it may still come back: nothing passes it
		}
	}
	if others != 3 {
		j.Errorf("%d of three other lanes had their turn", others)
	}
	if diff := cmp.Diff([]string{"first 1002", "first 1003", "second 1002", "second 1003"}, got); diff != "" {
		j.Errorf("the group's copies (-want +got)\n%s", diff)
	}
}

// groupLaneEnds: once nothing waits there, copies go to their own lanes again.
func groupLaneEnds(j *kit) {
	j.take(undecided("1001", "first", "team", "1002"))
	j.settle(j.wantMessages(bridge.MQTT, "1002", "").Ref)
	j.take(direct(bridge.XMPP, "1001", "1002", "direct"), decided("1001", "second", "team", "1002"))
	j.wantMessages(bridge.MQTT, "1002", string(bodyOf("1001", "direct")))
	if o := j.wantMessages(bridge.MQTT, "1002", ""); !bytes.Contains(o.Body, []byte("second")) {
		j.Errorf("got %s", o.Body)
	}
}

// refusalOfTheKnown: what was delivered comes back, and by now its sender may no longer say it. Nobody is told that it failed.
func refusalOfTheKnown(j *kit) {
	first := circular("1001", "a", "team", "1002")
	j.take(first)
	j.settle(j.next(bridge.MQTT).Ref, j.next(bridge.XMPP).Ref)
	j.wantNotice("1001", "sent")
	for _, origin := range []bridge.SideID{bridge.XMPP, bridge.MQTT} {
		back := &bridge.Record{Origin: origin, Verdict: bridge.VerdictReject, Reason: "not_a_member", From: "1001", Via: "1002",
			Body: first.Body, Keys: first.Keys, Deliveries: []bridge.Delivery{bridge.NoticeDelivery("1001", bridge.Note{Status: "failed", At: 1})}}
		j.want(bridge.OutcomeDuplicate, back)
		if origin == bridge.XMPP { // he says it again himself
			j.wantNotice("1001", "sent")
		}
		j.quiet()
		j.wantCount(1, "duplicate", origin, "")
	}
	other := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictReject, Reason: "not_a_member", From: "1001", Via: "1002",
		Body: first.Body, Keys: []message.Key{keyOf("unknown")}, Deliveries: []bridge.Delivery{bridge.NoticeDelivery("1001", bridge.Note{Status: "failed", At: 1})}}
	for range 2 { // and leaves no key itself
		again := again(other)
		j.want(bridge.OutcomeRefused, again)
		j.wantNotice("1001", "failed")
	}
}
