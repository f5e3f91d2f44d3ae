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

// waitLimit is for what must happen; only a failing test waits so long.
const waitLimit = 20 * time.Second

// kit is a store with short words for a test.
type kit struct {
	*testing.T
	Journal
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

// message is a direct message; its key is made of all its words.
func direct(origin bridge.SideID, from, to, text string) *bridge.Record {
	r := &bridge.Record{Origin: origin, From: from, Body: bodyOf(from, text), Keys: []message.Key{keyOf(from, to, text)}}
	delivery := bridge.Delivery{Side: bridge.MQTT, Kind: bridge.KindInbox, To: to, Lane: from + "\x00" + to}
	if origin == bridge.MQTT {
		delivery.Side, delivery.Kind, r.Via = bridge.XMPP, bridge.KindChat, to
	}
	r.Deliveries = []bridge.Delivery{delivery}
	return r
}

// circular is a group message by stanza: a copy for each member and a room post.
func circular(from, text, room string, members ...string) *bridge.Record {
	r := &bridge.Record{Origin: bridge.XMPP, From: from, Body: bodyOf(from, text), Keys: []message.Key{keyOf(from, room, text)}}
	for _, m := range members {
		r.Deliveries = append(r.Deliveries, bridge.Delivery{Side: bridge.MQTT, Kind: bridge.KindCopy, To: m, Lane: from + "\x00" + m})
	}
	r.Deliveries = append(r.Deliveries, bridge.Delivery{Side: bridge.XMPP, Kind: bridge.KindRoom, To: room, Lane: from + "\x00" + room})
	return r
}

// again is the same message once more, as a fresh offer.
func again(r *bridge.Record) *bridge.Record {
	c := *r
	c.ID, c.Outcome = 0, bridge.OutcomeUnknown
	return &c
}

func (j *kit) append(recs ...*bridge.Record) {
	j.Helper()
	if err := j.Append(j.Context(), recs); err != nil {
		j.Fatalf("append: %v", err)
	}
}

func (j *kit) want(want bridge.Outcome, r *bridge.Record) {
	j.Helper()
	if j.append(r); r.Outcome != want {
		j.Fatalf("outcome %d, want %d", r.Outcome, want)
	}
}

func (j *kit) take(recs ...*bridge.Record) {
	j.Helper()
	j.append(recs...)
	for i, r := range recs {
		if r.Outcome != bridge.OutcomeTaken {
			j.Fatalf("record %d: outcome %d, want taken", i, r.Outcome)
		}
	}
}

func (j *kit) next(side bridge.SideID) bridge.Outbound {
	j.Helper()
	ctx, cancel := context.WithTimeout(j.Context(), waitLimit)
	defer cancel()
	o, err := j.Next(ctx, side)
	if err != nil {
		j.Fatalf("next %v: %v", side, err)
	}
	return o
}

// wantMail takes the next delivery and checks that it brings a text to someone.
func (j *kit) wantMessages(side bridge.SideID, to, body string) bridge.Outbound {
	j.Helper()
	o := j.next(side)
	if !o.Kind.IsMessage() || o.To != to || (body != "" && string(o.Body) != body) {
		j.Fatalf("next %v is kind %d to %s (%+v): %q, want messages to %s: %q", side, o.Kind, o.To, o.Note, o.Body, to, body)
	}
	return o
}

// wantNotice takes the next delivery for MQTT, which is a notice, and settles it.
func (j *kit) wantNotice(to, status string) bridge.Outbound {
	j.Helper()
	o := j.next(bridge.MQTT)
	if o.Kind != bridge.KindNotice || o.To != to || o.Note.Status != status {
		j.Fatalf("next is kind %d to %s (%+v), want a notice to %s: %s", o.Kind, o.To, o.Note, to, status)
	}
	if len(o.Body) == 0 || o.Note.At == 0 {
		j.Fatalf("a notice with body %q at %d", o.Body, o.Note.At)
	}
	j.settle(o.Ref)
	return o
}

// nothing checks that a side has nothing to hand out: a marker put in now is what comes next.
func (j *kit) nothing(side bridge.SideID) {
	j.Helper()
	j.marks++
	binding := fmt.Sprint("mark", j.marks)
	delivery := bridge.Delivery{Side: side, Kind: bridge.KindError, Lane: binding, Note: bridge.Note{Reply: bridge.ReplyTo{Sender: binding}, Reason: "mark"}}
	if side == bridge.MQTT {
		delivery.Kind, delivery.To, delivery.Note = bridge.KindNotice, binding, bridge.Note{Status: "failed", Text: binding, At: 1}
	}
	j.want(bridge.OutcomeRefused, &bridge.Record{Origin: bridge.XMPP, Verdict: bridge.VerdictReject, Reason: "mark", From: binding,
		Body: bodyOf(binding, ""), Deliveries: []bridge.Delivery{delivery}})
	o := j.next(side)
	if o.To != binding && o.Note.Reply.Sender != binding {
		j.Fatalf("next %v is kind %d, ref %v to %s (%+v), want nothing", side, o.Kind, o.Ref, o.To, o.Note)
	}
	j.settle(o.Ref)
}

func (j *kit) quiet() {
	j.Helper()
	j.nothing(bridge.MQTT)
	j.nothing(bridge.XMPP)
}

func (j *kit) bind(ref bridge.Ref, binding string) {
	j.Helper()
	if err := j.Wait(j.Context(), j.Bind(ref, []byte(binding))); err != nil {
		j.Fatalf("bind %v: %v", ref, err)
	}
}

func (j *kit) settle(refs ...bridge.Ref) {
	j.Helper()
	for _, r := range refs {
		j.Settle(bridge.Result{Ref: r})
	}
	j.sync()
}

func (j *kit) bury(ref bridge.Ref, reason, text string) {
	j.Helper()
	j.Settle(bridge.Result{Ref: ref, Err: bridge.Refuse(reason, "%s", text)})
	j.sync()
}

// sync waits until all that was said before is committed.
func (j *kit) sync() {
	j.Helper()
	if err := j.Wait(j.Context(), j.SetState(bridge.MQTT)); err != nil {
		j.Fatalf("wait: %v", err)
	}
}

func (j *kit) count(name string, side bridge.SideID, reason string) int64 {
	return j.Totals().Counts[bridge.Counter{Name: name, Side: side, Reason: reason}]
}

func (j *kit) wantCount(want int64, name string, side bridge.SideID, reason string) {
	j.Helper()
	if got := j.count(name, side, reason); got != want {
		j.Fatalf("%s %v %q is %d, want %d", name, side, reason, got, want)
	}
}

// sum checks the equation of the promise.
func (j *kit) sum() {
	j.Helper()
	CheckSum(j, j.Totals())
}

// CheckSum checks that a journal's account adds up for both origins.
func CheckSum(t testing.TB, a bridge.Totals) {
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
