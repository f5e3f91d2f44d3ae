package bridge

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatrelay/message"
)

func mqttIn(body []byte) Inbound { return Inbound{Body: body, To: "1002"} }

func xmppIn(body []byte) Inbound {
	return Inbound{Body: body, From: "1001", Reply: ReplyTo{"1001@example.org", "/phone"}}
}

func roomIn(body []byte) Inbound {
	in := xmppIn(body)
	in.Room = room
	return in
}

// with changes an inbound.
func with(in Inbound, change func(*Inbound)) Inbound {
	change(&in)
	return in
}

// What is refused, and with which word. Every refusal is answered: by a stanza error or, on MQTT, a notice.
func TestJudgeRefuses(t *testing.T) {
	proven := func(in *Inbound) { in.From = "1001" }
	unproven := func(in *Inbound) { in.From = "" }
	nowhere := func(in *Inbound) { in.To = "" }
	tests := []struct {
		name string
		side SideID
		in   Inbound
		want string
	}{
		{"a stanza whose from is another's", XMPP, xmppIn(envelope(fields{"from": "1009"})), "from_mismatch"},
		{"and so in a room", XMPP, roomIn(grouped(fields{"from": "1009"})), "from_mismatch"},
		{"from is compared byte for byte", XMPP, with(xmppIn(envelope(fields{"from": "Ann"})), func(in *Inbound) { in.From = "ann" }), "from_mismatch"},
		{"MQTT whose wire vouches for another", MQTT, with(mqttIn(envelope(fields{"from": "1009"})), proven), "from_mismatch"},
		{"a stanza from an account without a landline", XMPP, with(xmppIn(envelope(nil)), unproven), "unknown_sender"},
		{"a speaker without a landline", XMPP, with(roomIn(grouped(nil)), unproven), "unknown_sender"},
		{"neither sender nor inbox", MQTT, with(mqttIn(envelope(nil)), nowhere), "unknown_sender"},
		{"the sender is checked before the room", XMPP, xmppIn(grouped(fields{"from": "1009", "groupJid": "x@y.z"})), "from_mismatch"},
		{"a direct message said in a room", XMPP, roomIn(envelope(nil)), "room_mismatch"},
		{"another room's message said in a room", XMPP, roomIn(grouped(fields{"groupJid": "alone@rooms.example.org"})), "room_mismatch"},
		{"a room that is not served, by stanza", XMPP, xmppIn(grouped(fields{"groupJid": "x@rooms.example.org"})), "unknown_room"},
		{"a room that is not served, on MQTT", MQTT, mqttIn(grouped(fields{"groupJid": "x@rooms.example.org"})), "unknown_room"},
		{"to is not the topic's", MQTT, mqttIn(envelope(fields{"to": "1003"})), "to_mismatch"},
		{"to is not the topic's, in a group", MQTT, mqttIn(grouped(fields{"to": "1003"})), "to_mismatch"},
		{"a stanza to nobody", XMPP, xmppIn(envelope(fields{"to": nil})), message.BadTo},
		{"to is no landline", XMPP, xmppIn(envelope(fields{"to": "+"})), message.BadTo},
		{"to is the relay itself", XMPP, xmppIn(envelope(fields{"to": "receiver"})), message.BadTo},
		{"text that is no envelope, to the account", XMPP, xmppIn([]byte("hello")), PlainText},
		{"a broken envelope, to the account", XMPP, xmppIn([]byte(` {"from":"1001"`)), message.NotJSON},
		{"a bad envelope said in a room", XMPP, roomIn(grouped(fields{"content": 7})), message.BadContent},
		{"trusted, but a bad envelope", XMPP, with(xmppIn(envelope(fields{"from": 1.5})), func(in *Inbound) { in.Trusted = true }), message.BadFrom},
		{"trusted, but an unknown room", XMPP, with(xmppIn(grouped(fields{"groupJid": "x@y.z"})), func(in *Inbound) { in.Trusted = true }), "unknown_room"},
		{"bad content on MQTT", MQTT, mqttIn(envelope(fields{"content": nil})), message.BadContent},
		{"what the side refuses", MQTT, with(mqttIn(envelope(nil)), func(in *Inbound) { in.Refused = Refuse("retained", "no") }), "retained"},
		{"what the side refuses of a room", XMPP, with(roomIn(grouped(nil)), func(in *Inbound) { in.Refused = Refuse("anonymous", "no") }), "anonymous"},
		{"a stanza of a room with two bodies", XMPP, with(roomIn(nil), func(in *Inbound) { in.Refused = Refuse("bodies", "no") }), "bodies"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			rec, why := newJudge(tt.side, c.now).record(&tt.in)
			if why == nil || rec.Verdict != VerdictReject || rec.Reason != tt.want || why.Reason != tt.want {
				t.Fatalf("verdict %d, reason %q, refusal %v; want a Reject for %q", rec.Verdict, rec.Reason, why, tt.want)
			}
			if len(rec.Keys) != 0 {
				t.Errorf("a refused message leaves %d keys", len(rec.Keys))
			}
			note := Note{Reply: tt.in.Reply, Reason: tt.want, Text: why.Text, At: c.now().UnixMilli()}
			want := []Delivery{{Side: XMPP, Kind: KindError, Lane: "e\x001001@example.org", Note: note}}
			if tt.side == MQTT {
				want = []Delivery{NoticeDelivery("1001", Note{Status: "failed", Text: why.Text, At: note.At})}
				if tt.name == "MQTT whose wire vouches for another" || strings.Contains(string(tt.in.Body), `"1009"`) {
					want[0] = NoticeDelivery("1009", want[0].Note)
				}
			}
			if diff := cmp.Diff(want, rec.Deliveries); diff != "" {
				t.Errorf("answers (-want +got)\n%s", diff)
			}
			if keeps := rec.Body != nil; keeps != (tt.side == MQTT) {
				t.Errorf("the journal keeps the body: %v", keeps)
			}
			if bytes.Contains(rec.Body, []byte("content")) {
				t.Errorf("the journal keeps what a stranger wrote: %s", rec.Body)
			}
		})
	}
}

func TestJudgeIgnores(t *testing.T) {
	notice := fields{"status": "sent", "statusTime": 1}
	ignore := func(word string) func(*Inbound) { return func(in *Inbound) { in.Ignored = word } }
	stranger := func(in *Inbound) { in.From, in.Refused = "", Refuse("unknown_sender", "who?") }
	tests := []struct {
		name string
		side SideID
		in   Inbound
		want string
	}{
		{"what the side ignores", XMPP, with(xmppIn(envelope(nil)), ignore("receipt")), "receipt"},
		{"a notice of ours on MQTT", MQTT, mqttIn(envelope(notice)), "notice"},
		{"a notice by stanza", XMPP, xmppIn(envelope(notice)), "notice"},
		{"a notice is no message of another's", XMPP, xmppIn(envelope(fields{"from": "1009", "status": "failed", "statusTime": 1})), "notice"},
		{"a notice of a refused envelope", MQTT, mqttIn(envelope(fields{"content": 7, "status": "failed", "statusTime": 1})), "notice"},
		{"chatter in a room", XMPP, roomIn([]byte("hello")), "no_envelope"},
		{"chatter that is JSON", XMPP, roomIn([]byte(`"hello"`)), "no_envelope"},
		{"chatter in braces", XMPP, roomIn([]byte("{hello}")), "no_envelope"},
		{"chatter with half a surrogate", XMPP, roomIn([]byte(`"\ud800"`)), "no_envelope"},
		{"chatter of brackets", XMPP, roomIn([]byte(strings.Repeat("[", 40))), "no_envelope"},
		{"long chatter", XMPP, roomIn(bytes.Repeat([]byte("a"), 5000)), "no_envelope"},
		{"nothing said in a room", XMPP, roomIn(nil), "no_envelope"},
		{"chatter of someone unknown", XMPP, with(roomIn([]byte("hello")), stranger), "no_envelope"},
		{"heard in a room of one", XMPP, with(roomIn(grouped(fields{"groupJid": "alone@rooms.example.org"})),
			func(in *Inbound) { in.Room = "alone@rooms.example.org" }), "no_members"},
		{"heard in a room without members", XMPP, with(roomIn(grouped(fields{"groupJid": "empty@rooms.example.org"})),
			func(in *Inbound) { in.Room = "empty@rooms.example.org" }), "no_members"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.State = []StateRow{{Key: "h", Value: []byte("7")}}
			rec, why := newJudge(tt.side, newClock().now).record(&tt.in)
			if why != nil || rec.Verdict != VerdictIgnore || rec.Reason != tt.want {
				t.Fatalf("verdict %d, reason %q, refusal %v; want an Ignore for %q", rec.Verdict, rec.Reason, why, tt.want)
			}
			if len(rec.Deliveries)+len(rec.Keys) != 0 || rec.Body != nil {
				t.Errorf("something is made of it: %+v", rec)
			}
			if len(rec.State) != 1 {
				t.Error("the wire's state is lost")
			}
		})
	}
}

func TestJudgeTakes(t *testing.T) {
	trusted := func(in *Inbound) { in.From, in.Trusted = "", true }
	tests := []struct {
		name string
		side SideID
		in   Inbound
		from string
		to   []string // destinations, in order
	}{
		{"a stanza", XMPP, xmppIn(envelope(nil)), "1001", []string{"1002"}},
		{"a stanza to a group", XMPP, xmppIn(grouped(nil)), "1001", []string{"1002", "1003", room}},
		{"a stanza to a group without members", XMPP, xmppIn(grouped(fields{"groupJid": "empty@rooms.example.org"})), "1001", []string{"empty@rooms.example.org"}},
		{"heard in a room", XMPP, roomIn(grouped(nil)), "1001", []string{"1002", "1003"}},
		{"a backend speaks for another", XMPP, with(xmppIn(envelope(nil)), trusted), "1001", []string{"1002"}},
		{"MQTT", MQTT, mqttIn(envelope(nil)), "1001", []string{"1002"}},
		{"MQTT, to from the topic", MQTT, mqttIn(envelope(fields{"to": nil})), "1001", []string{"1002"}},
		{"MQTT, to a number", MQTT, mqttIn(envelope(fields{"to": 1002})), "1001", []string{"1002"}},
		{"MQTT, a group", MQTT, mqttIn(grouped(nil)), "1001", []string{room}},
		{"MQTT, a group, to empty", MQTT, mqttIn(grouped(fields{"to": ""})), "1001", []string{room}},
		{"MQTT, a group, to the topic's", MQTT, mqttIn(grouped(fields{"to": "1002"})), "1001", []string{room}},
		{"any other status is the sender's own", MQTT, mqttIn(envelope(fields{"status": "busy", "statusTime": 1})), "1001", []string{"1002"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec, why := newJudge(tt.side, newClock().now).record(&tt.in)
			if why != nil || rec.Verdict != VerdictTake || rec.Reason != "" {
				t.Fatalf("verdict %d, reason %q, refusal %v; want a Take", rec.Verdict, rec.Reason, why)
			}
			var to []string
			for _, l := range rec.Deliveries {
				to = append(to, l.To)
			}
			if !slices.Equal(to, tt.to) || rec.From != tt.from || rec.Origin != tt.side || rec.Via != tt.in.To {
				t.Errorf("from %q to %q via %q of %v; want from %q to %q", rec.From, to, rec.Via, rec.Origin, tt.from, tt.to)
			}
			if !bytes.Equal(rec.Body, tt.in.Body) {
				t.Errorf("the body is not as it came:\n%s\n%s", rec.Body, tt.in.Body)
			}
			if len(rec.Keys) != 1 || rec.ID != 0 {
				t.Errorf("%d keys, id %d; want one key and no id of the journal's", len(rec.Keys), rec.ID)
			}
		})
	}
}

// keyOf is the one key that a judge gives a message.
func keyOf(t *testing.T, side SideID, in Inbound) message.Key {
	t.Helper()
	rec, why := newJudge(side, newClock().now).record(&in)
	if why != nil || len(rec.Keys) != 1 {
		t.Fatalf("%d keys, refusal %v", len(rec.Keys), why)
	}
	return rec.Keys[0]
}

// The relay's own publishes come back to it: they must have the key of what they were made of.
func TestJudgeKnowsItsEchoes(t *testing.T) {
	group := grouped(nil)
	first := keyOf(t, XMPP, xmppIn(group))
	for _, member := range []string{"1002", "1003"} {
		in := Inbound{Body: Render(XMPP, KindCopy, member, group, Note{}), To: member}
		if keyOf(t, MQTT, in) != first {
			t.Errorf("the copy for %s has another key", member)
		}
	}
	if keyOf(t, XMPP, roomIn(group)) != first {
		t.Error("the room's message has another key")
	}
	if keyOf(t, MQTT, mqttIn(envelope(nil))) != keyOf(t, XMPP, xmppIn(envelope(nil))) {
		t.Error("a direct message has another key on the other side")
	}
	if keyOf(t, MQTT, mqttIn(envelope(fields{"to": nil}))) != keyOf(t, MQTT, mqttIn(envelope(nil))) {
		t.Error("a message that leaves to to its topic has another key")
	}
	if keyOf(t, XMPP, xmppIn(envelope(fields{"to": "1003"}))) == keyOf(t, XMPP, xmppIn(envelope(nil))) {
		t.Error("messages to two people have one key")
	}
}

func TestJudgeNamesTheNameless(t *testing.T) {
	j := newJudge(XMPP, newClock().now)
	in := xmppIn(envelope(fields{"timeStamp": nil}))
	var last message.Key
	for n := uint64(1); n <= 2; n++ { // "ok", "ok" are two messages
		rec, why := j.record(&in)
		if why != nil || rec.ID != n || len(rec.Keys) != 1 || rec.Keys[0] == last {
			t.Fatalf("message %d: id %d, keys %v, refusal %v", n, rec.ID, rec.Keys, why)
		}
		last = rec.Keys[0]
		if want := fmt.Sprintf(`,"id":"cr-test-%d"}`, n); !strings.HasSuffix(string(rec.Body), want) {
			t.Errorf("body %s, want an end of %s", rec.Body, want)
		}
		if keyOf(t, MQTT, mqttIn(rec.Body)) != last {
			t.Error("what travels on has another key than what is remembered")
		}
	}
	if string(in.Body) != string(envelope(fields{"timeStamp": nil})) {
		t.Error("the side's own bytes were changed")
	}
}

func TestJudgeKeepsWhatTheWireSays(t *testing.T) {
	in := with(xmppIn(envelope(nil)), func(in *Inbound) {
		in.WireID, in.Redelivered, in.Receipt, in.State, in.Expires = "archive-7", true, true, []StateRow{{Key: "h"}}, time.Minute
	})
	rec, _ := newJudge(XMPP, newClock().now).record(&in)
	if rec.WireKey != message.WireKey("xmpp", "archive-7") || !rec.Redelivered || rec.Reply != in.Reply || !rec.Receipt || len(rec.State) != 1 || rec.Expires != time.Minute {
		t.Errorf("lost on the way: %+v", rec)
	}
	in.WireID, in.Receipt = "", false
	rec, _ = newJudge(XMPP, newClock().now).record(&in)
	if rec.WireKey != (message.Key{}) || rec.Reply != in.Reply || rec.Receipt {
		t.Errorf("made up: %+v", rec)
	}
}

// Who is not answered: nobody who has no address, no wish to know, or has heard enough.
func TestJudgeAnswersNobody(t *testing.T) {
	bad := envelope(fields{"content": 7})
	noticed := fields{"status": "failed", "statusTime": 1}
	tests := []struct {
		name    string
		side    SideID
		in      Inbound
		notices bool
	}{
		{"a stanza that cannot be answered", XMPP, with(xmppIn(bad), func(in *Inbound) { in.Reply = ReplyTo{} }), true},
		{"MQTT without a good from", MQTT, mqttIn(envelope(fields{"from": "+"})), true},
		{"MQTT from the relay itself", MQTT, mqttIn(envelope(fields{"from": "receiver"})), true},
		{"MQTT that is no envelope", MQTT, mqttIn([]byte("hello")), true},
		{"MQTT while notices are off", MQTT, mqttIn(bad), false},
		{"a notice that its side refuses", MQTT, with(mqttIn(envelope(noticed)), func(in *Inbound) { in.Refused = Refuse("retained", "no") }), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := newJudge(tt.side, newClock().now)
			j.notices = tt.notices
			rec, why := j.record(&tt.in)
			if why == nil || rec.Verdict != VerdictReject || len(rec.Deliveries) != 0 || rec.Body != nil {
				t.Errorf("verdict %d, deliveries %v, body %q, refusal %v; want a silent Reject", rec.Verdict, rec.Deliveries, rec.Body, why)
			}
		})
	}
}

func TestJudgeLimitsAnswers(t *testing.T) {
	for _, side := range []SideID{MQTT, XMPP} {
		t.Run(side.String(), func(t *testing.T) {
			c := newClock()
			j := newJudge(side, c.now)
			answers := func(from string, n int) (got int) {
				for i := range n {
					in := mqttIn(envelope(fields{"from": from, "content": i}))
					if side == XMPP { // each from a device of its own
						in.To, in.Reply = "", ReplyTo{from + "@example.org", fmt.Sprintf("/%d", i)}
					}
					rec, why := j.record(&in)
					if why == nil || rec.Verdict != VerdictReject {
						t.Fatalf("verdict %d: a flood must still be refused", rec.Verdict)
					}
					got += len(rec.Deliveries)
				}
				return got
			}
			if got := answers("1001", 30); got != answersPerSecond {
				t.Errorf("%d answers in a second, want %d", got, answersPerSecond)
			}
			if got := answers("1003", 1); got != 1 {
				t.Errorf("another sender has %d answers, want 1", got)
			}
			c.add(time.Second)
			if got := answers("1001", 1); got != 1 {
				t.Errorf("%d answers in the next second, want 1", got)
			}
		})
	}
}

// Strangers have no landline, but a lane each: one who cannot be answered must not hold up the others.
func TestJudgeAnswersEachInTheirOwnLane(t *testing.T) {
	j := newJudge(XMPP, newClock().now)
	lanes := map[string]bool{}
	for n := range 3 {
		in := Inbound{Body: envelope(nil), Reply: ReplyTo{fmt.Sprintf("stranger%d@elsewhere.org", n), "/x"}}
		rec, _ := j.record(&in)
		lanes[rec.Deliveries[0].Lane] = true
	}
	if len(lanes) != 3 {
		t.Errorf("three strangers share %d lanes: %v", len(lanes), lanes)
	}
}

// FuzzJudge: nothing that a wire can bring makes the judge panic or contradict itself, and no message is taken
// whose sender is not who the wire says.
func FuzzJudge(f *testing.F) {
	for _, body := range [][]byte{envelope(nil), grouped(nil), envelope(fields{"timeStamp": nil}), []byte("hello"), nil,
		envelope(fields{"status": "sent", "statusTime": 1}), []byte(`{"from":"1001","from":"1002","content":""}`)} {
		f.Add(body, "1001", "", "", "a\x00b", "", "", "", uint8(1))
		f.Add(body, "", "1002", "", "", "", "", "", uint8(0))
		f.Add(body, "1001", "", room, "a\x00b", "", "", "w", uint8(3))
		f.Add(body, "", "", "", "", "history", "retained", "", uint8(7))
	}
	f.Fuzz(func(t *testing.T, body []byte, from, to, heard, reply, ignored, refused, wireID string, bits uint8) {
		in := Inbound{Body: body, From: from, To: to, Room: heard, Reply: ParseReplyTo(reply), Ignored: ignored, WireID: wireID,
			Receipt: bits&2 != 0, Trusted: bits&4 != 0}
		if refused != "" {
			in.Refused = Refuse(refused, "no")
		}
		side := MQTT
		if bits&1 != 0 {
			side = XMPP
		}
		came := bytes.Clone(body)
		rec, why := newJudge(side, newClock().now).record(&in)
		if !bytes.Equal(came, in.Body) {
			t.Fatal("the body was changed in place")
		}
		if (why != nil) != (rec.Verdict == VerdictReject) || (rec.Reason == "") != (rec.Verdict == VerdictTake) {
			t.Fatalf("verdict %d, reason %q, refusal %v", rec.Verdict, rec.Reason, why)
		}
		switch rec.Verdict {
		case VerdictTake:
			consistentTake(t, &in, rec)
		case VerdictIgnore:
			if len(rec.Deliveries)+len(rec.Keys) > 0 || rec.Body != nil {
				t.Fatalf("ignored, but something is made of it: %+v", rec)
			}
		case VerdictReject:
			if len(rec.Deliveries) > 1 || len(rec.Keys) > 0 || len(rec.Deliveries) == 1 && rec.Deliveries[0].Kind.IsMessage() {
				t.Fatalf("refused, but more than an answer is made of it: %+v", rec)
			}
		}
	})
}

func consistentTake(t *testing.T, in *Inbound, rec *Record) {
	t.Helper()
	if in.Ignored != "" || in.Refused != nil || len(rec.Deliveries) == 0 || len(rec.Keys) != 1 {
		t.Fatalf("taken: %+v", rec)
	}
	if !in.Trusted && in.From != rec.From && (in.From != "" || in.To == "") {
		t.Fatalf("taken from %q of someone who is %q", rec.From, in.From)
	}
	e, err := message.Parse(rec.Body, &message.Rules{Own: "receiver"})
	if err != nil || e.Notice || !e.Identified() || e.From != rec.From {
		t.Fatalf("what travels on cannot be read: %+v, %v", e, err)
	}
	if e.To == "" && !e.Group() {
		e.To = in.To
	}
	if e.Key() != rec.Keys[0] {
		t.Fatal("what travels on has another key than what is remembered")
	}
	for _, l := range rec.Deliveries {
		post := e.Group() && in.Room == "" && l.Kind == KindRoom
		if l.Side == rec.Origin && !post || !l.Kind.IsMessage() || l.To == "" || l.Kind == KindCopy && l.To == rec.From {
			t.Fatalf("delivery %+v of %+v", l, e)
		}
	}
}

// BenchmarkJudge is what an everyday message of 300 bytes costs before the journal has it.
func BenchmarkJudge(b *testing.B) {
	in := mqttIn(envelope(fields{"content": `Hello, "Bob" & <b>all</b> 😀, see you at 5 this afternoon?`, "contentType": 0,
		"groupJid": "", "groupName": "", "name": "Alice Liddell", "photo": "https://example.org/photos/1001.jpg"}))
	j := newJudge(MQTT, time.Now)
	b.SetBytes(int64(len(in.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if rec, why := j.record(&in); why != nil || len(rec.Deliveries) != 1 {
			b.Fatal(why)
		}
	}
}

// What a wire may have stored and brings once more keeps the key by which the journal knows it, as when it was taken.
func TestJudgeRecognises(t *testing.T) {
	retained := func(in *Inbound) { in.Refused, in.Stored = Refuse("retained", "no"), true }
	for name, fields := range map[string]fields{"a direct message": nil, "without to": {"to": nil}} {
		live, _ := newJudge(MQTT, newClock().now).record(new(mqttIn(envelope(fields))))
		stored, why := newJudge(MQTT, newClock().now).record(new(with(mqttIn(envelope(fields)), retained)))
		if why == nil || stored.Verdict != VerdictReject || len(live.Keys) != 1 || len(stored.Keys) != 1 || stored.Keys[0] != live.Keys[0] {
			t.Errorf("%s: keys %x, live %x, refusal %v", name, stored.Keys, live.Keys, why)
		}
	}
	flagged, _ := newJudge(MQTT, newClock().now).record(new(with(mqttIn(envelope(nil)), func(in *Inbound) { in.Refused = Refuse("too_large", "no") })))
	if len(flagged.Keys) != 0 {
		t.Error("a refusal that is not the wire's own copy has a key")
	}
	if bad, _ := newJudge(MQTT, newClock().now).record(new(with(mqttIn([]byte("{")), retained))); len(bad.Keys) != 0 {
		t.Error("what is no envelope has a key")
	}
}
