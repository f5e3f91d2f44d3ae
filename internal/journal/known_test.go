package journal

import (
	"errors"
	"testing"

	"chatrelay/bridge"
)

// TestRecordNumber: Append says which number a message has, that of the first one where it is a repetition, that of the answer where it is
// refused; and what the journal has of it is found by that number while its key is known.
func TestRecordNumber(t *testing.T) {
	b := openTest(t, options(t.TempDir()))
	first := direct(bridge.MQTT, "1001", "1002", "hello")
	b.append(first)
	ref := b.next(bridge.XMPP).Ref
	if first.Number == 0 || first.Number != ref.Msg {
		t.Errorf("taken as %d, delivered as %v", first.Number, ref)
	}
	known := func(want MessageInfo) {
		t.Helper()
		b.sync()
		got, err := Known(t.Context(), b.Journal, ref.Msg)
		if err != nil || got.From != want.From || got.Failed != want.Failed || !got.Remembered || len(got.Deliveries) != len(want.Deliveries) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	known(MessageInfo{From: "1001", Deliveries: make([]DeliveryInfo, 1)})
	again := direct(bridge.MQTT, "1001", "1002", "hello")
	b.want(again, bridge.OutcomeDuplicate)
	if again.Number != first.Number {
		t.Errorf("repeated: %d, want %d", again.Number, first.Number)
	}
	refused := &bridge.Record{Origin: bridge.XMPP, Verdict: bridge.VerdictReject, Reason: "bad_to", From: "1001"}
	b.want(refused, bridge.OutcomeRefused)
	if refused.Number != 0 {
		t.Errorf("refused without an answer: %d", refused.Number)
	}
	answered := *refused
	answered.Body = []byte("{}")
	answered.Deliveries = []bridge.Delivery{{Side: bridge.MQTT, Kind: bridge.KindNotice, To: "1001", Lane: "1001", Note: bridge.Note{Status: "failed"}}}
	b.want(&answered, bridge.OutcomeRefused)
	if got := b.next(bridge.MQTT).Ref.Msg; got != answered.Number {
		t.Errorf("refused as %d, answered by %d", answered.Number, got)
	}
	b.Settle(bridge.Result{Ref: ref, Err: bridge.Refuse("gone", "no such user")})
	known(MessageInfo{From: "1001", Failed: "no such user", Deliveries: make([]DeliveryInfo, 2)}) // dead, and the notice about it
	if _, err := Known(t.Context(), b.Journal, 1<<40); !errors.Is(err, ErrUnknown) {
		t.Errorf("a number that was never given out: %v", err)
	}
}
