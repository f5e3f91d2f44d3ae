package bridgetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"testing"

	"chatrelay/bridge"
	"chatrelay/message"
)

// patience is for what must happen; only a failing test waits so long.
const patience = 20 * time.Second

// journal is a store with short words for a test.
type journal struct {
	*testing.T
	Store
	marks int
}

func keyOf(parts ...any) (k message.Key) {
	sum := sha256.Sum256(fmt.Append(nil, parts...))
	copy(k[:], sum[:])
	return k
}

func bodyOf(from, text string) []byte {
	return fmt.Appendf(nil, `{"chatType":1,"from":%q,"content":%q}`, from, text)
}

// letter is a direct message; its key is made of all its words.
func letter(origin bridge.SideID, from, to, text string) *bridge.Record {
	r := &bridge.Record{Origin: origin, From: from, Body: bodyOf(from, text), Keys: []message.Key{keyOf(from, to, text)}}
	leg := bridge.Leg{Side: bridge.MQTT, Kind: bridge.Inbox, To: to, Lane: from + "\x00" + to}
	if origin == bridge.MQTT {
		leg.Side, leg.Kind, r.Via = bridge.XMPP, bridge.Chat, to
	}
	r.Legs = []bridge.Leg{leg}
	return r
}

// circular is a group message by stanza: a copy for each member and a room post.
func circular(from, text, room string, members ...string) *bridge.Record {
	r := &bridge.Record{Origin: bridge.XMPP, From: from, Body: bodyOf(from, text), Keys: []message.Key{keyOf(from, room, text)}}
	for _, m := range members {
		r.Legs = append(r.Legs, bridge.Leg{Side: bridge.MQTT, Kind: bridge.Copy, To: m, Lane: from + "\x00" + m})
	}
	r.Legs = append(r.Legs, bridge.Leg{Side: bridge.XMPP, Kind: bridge.Room, To: room, Lane: from + "\x00" + room})
	return r
}

// again is the same message once more, as a fresh offer.
func again(r *bridge.Record) *bridge.Record {
	c := *r
	c.ID, c.Outcome = 0, bridge.Unknown
	return &c
}

func (j *journal) append(recs ...*bridge.Record) {
	j.Helper()
	if err := j.Append(j.Context(), recs); err != nil {
		j.Fatalf("append: %v", err)
	}
}

func (j *journal) want(want bridge.Outcome, r *bridge.Record) {
	j.Helper()
	if j.append(r); r.Outcome != want {
		j.Fatalf("outcome %d, want %d", r.Outcome, want)
	}
}

func (j *journal) take(recs ...*bridge.Record) {
	j.Helper()
	j.append(recs...)
	for i, r := range recs {
		if r.Outcome != bridge.Taken {
			j.Fatalf("record %d: outcome %d, want taken", i, r.Outcome)
		}
	}
}

func (j *journal) next(side bridge.SideID) bridge.Outbound {
	j.Helper()
	ctx, cancel := context.WithTimeout(j.Context(), patience)
	defer cancel()
	o, err := j.Next(ctx, side)
	if err != nil {
		j.Fatalf("next %v: %v", side, err)
	}
	return o
}

// wantMail takes the next leg and checks that it brings a text to someone.
func (j *journal) wantMail(side bridge.SideID, to, body string) bridge.Outbound {
	j.Helper()
	o := j.next(side)
	if !o.Kind.Mail() || o.To != to || (body != "" && string(o.Body) != body) {
		j.Fatalf("next %v is kind %d to %s (%+v): %q, want mail to %s: %q", side, o.Kind, o.To, o.Note, o.Body, to, body)
	}
	return o
}

// wantNotice takes the next leg for MQTT, which is a notice, and settles it.
func (j *journal) wantNotice(to, status string) bridge.Outbound {
	j.Helper()
	o := j.next(bridge.MQTT)
	if o.Kind != bridge.Notice || o.To != to || o.Note.Status != status {
		j.Fatalf("next is kind %d to %s (%+v), want a notice to %s: %s", o.Kind, o.To, o.Note, to, status)
	}
	if len(o.Body) == 0 || o.Note.At == 0 {
		j.Fatalf("a notice with body %q at %d", o.Body, o.Note.At)
	}
	j.settle(o.Ref)
	return o
}

// nothing checks that a side has nothing to hand out: a marker put in now is what comes next.
func (j *journal) nothing(side bridge.SideID) {
	j.Helper()
	j.marks++
	mark := fmt.Sprint("mark", j.marks)
	leg := bridge.Leg{Side: side, Kind: bridge.Error, Lane: mark, Note: bridge.Note{Reply: mark, Reason: "mark"}}
	if side == bridge.MQTT {
		leg.Kind, leg.To, leg.Note = bridge.Notice, mark, bridge.Note{Status: "failed", Text: mark, At: 1}
	}
	j.want(bridge.Refused, &bridge.Record{Origin: bridge.XMPP, Verdict: bridge.Reject, Reason: "mark", From: mark,
		Body: bodyOf(mark, ""), Legs: []bridge.Leg{leg}})
	o := j.next(side)
	if o.To != mark && o.Note.Reply != mark {
		j.Fatalf("next %v is kind %d, ref %v to %s (%+v), want nothing", side, o.Kind, o.Ref, o.To, o.Note)
	}
	j.settle(o.Ref)
}

func (j *journal) quiet() {
	j.Helper()
	j.nothing(bridge.MQTT)
	j.nothing(bridge.XMPP)
}

func (j *journal) bind(ref bridge.Ref, how string) {
	j.Helper()
	if err := j.Wait(j.Context(), j.Bind(ref, []byte(how))); err != nil {
		j.Fatalf("bind %v: %v", ref, err)
	}
}

func (j *journal) settle(refs ...bridge.Ref) {
	j.Helper()
	for _, r := range refs {
		j.Close(bridge.Result{Ref: r})
	}
	j.sync()
}

func (j *journal) bury(ref bridge.Ref, reason, text string) {
	j.Helper()
	j.Close(bridge.Result{Ref: ref, Err: bridge.Refuse(reason, "%s", text)})
	j.sync()
}

// sync waits until all that was said before is committed.
func (j *journal) sync() {
	j.Helper()
	if err := j.Wait(j.Context(), j.SetState(bridge.MQTT)); err != nil {
		j.Fatalf("wait: %v", err)
	}
}

func (j *journal) count(name string, side bridge.SideID, reason string) int64 {
	return j.Account().Counts[bridge.Count{Name: name, Side: side, Reason: reason}]
}

func (j *journal) wantCount(want int64, name string, side bridge.SideID, reason string) {
	j.Helper()
	if got := j.count(name, side, reason); got != want {
		j.Fatalf("%s %v %q is %d, want %d", name, side, reason, got, want)
	}
}

// sum checks the equation of the promise.
func (j *journal) sum() {
	j.Helper()
	CheckSum(j, j.Account())
}

// CheckSum checks that a book's account adds up for both origins.
func CheckSum(t testing.TB, a bridge.Account) {
	t.Helper()
	for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		var in, out int64
		for c, n := range a.Counts {
			if c.Side != side {
				continue
			}
			switch c.Name {
			case "received":
				in += n
			case "delivered", "duplicate", "ignored", "refused", "dead":
				out += n
			}
		}
		if out += a.Pending[side]; in != out {
			t.Fatalf("%v: received %d, accounted for %d: %v, pending %v", side, in, out, a.Counts, a.Pending)
		}
	}
}
