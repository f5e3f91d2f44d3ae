package picture

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/message"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// oneOfEach is a frame with each fact, and each field set.
func oneOfEach() (Head, []Fact) {
	note := bridge.Note{Status: "failed", Reason: "no", Text: "nobody", At: -7, Reply: bridge.ReplyTo{Sender: "a", Handle: "b"}, Post: &bridge.Post{Room: "r", Via: "v"}}
	keys := []message.Key{{1, 2}, {3}}
	deliveries := []bridge.Delivery{
		{Side: bridge.XMPP, Kind: bridge.KindChat, To: "1002", Lane: "1001\x001002", Note: note},
		{Side: bridge.MQTT, Kind: bridge.KindCopy, To: "1003", Lane: "1001\x001003"},
	}
	ref, why := bridge.Ref{Msg: 1 << 47, Delivery: 65535}, bridge.Refuse("no", "nobody")
	return Head{N: 1 << 60, At: 1_800_000_000_000, Ran: 77}, []Fact{
		&Rules{Sent: true, Failed: true},
		&Lease{1 << 48},
		&Counted{bridge.Counter{Name: "received", Side: bridge.MQTT, Reason: "x"}, -3},
		&StateSet{bridge.MQTT, "in.7", []byte("seven")},
		&StateSet{bridge.XMPP, "h", nil},
		&StateSet{0, "empty", []byte{}},
		&Took{ID: 1 << 47, Origin: bridge.MQTT, From: "1001", Reply: "a\x00b", Receipt: true, Expires: 99, Via: 1<<32 - 1, Keys: keys, Body: []byte("body one"), Deliveries: deliveries},
		&Answered{ID: 5, Origin: bridge.XMPP, From: "1001", Body: []byte("body two"), Deliveries: deliveries[:1]},
		&Learned{5, bridge.XMPP, 6, keys},
		&Delayed{5},
		&PutOff{ref, 3, 4, 5, "busy"},
		&Bound{ref, []byte("packet")},
		&Unbound{ref},
		&Closed{Ref: ref, Unproven: 3, CancelDelayed: true},
		&Closed{Ref: ref, Why: why, Body: []byte("body three")},
		&Bounced{ref, why, true},
		&Confirmed{bridge.MQTT, 7},
		&Unconfirmed{bridge.MQTT, 8, 9, why},
		&Recalled{
			ID: 9, At: 1, Ran: 2, Origin: bridge.MQTT, From: "1", Reply: "r", Receipt: true, Expires: 3, Size: 4, Copies: 5, Keys: 6, Base: 7, Dropped: 8,
			Delayed: true, Reason: "no", Dead: []DeadLetter{{Seq: 1, Num: 2, Kind: bridge.KindCopy, Side: bridge.MQTT, To: "3", Lane: "1\x003", Attempts: 4, Note: note}},
		},
		&Requeued{ref, keys},
		&Dropped{ref},
		&Rotated{2, 1},
		&Forgot{[]uint64{300, 7, 1 << 63, 8}},
	}
}

func TestEachFact(t *testing.T) {
	h, facts := oneOfEach()
	seen := map[uint8]bool{}
	for _, f := range facts {
		seen[f.kind()] = true
		if zero := newFact(f.kind()); reflect.TypeOf(zero) != reflect.TypeOf(f) {
			t.Errorf("kind %d is read as %T, written as %T", f.kind(), zero, f)
		}
	}
	for kind := range uint8(255) {
		if (newFact(kind) != nil) != seen[kind] {
			t.Errorf("kind %d is known or is tried here, not both", kind)
		}
	}
	frame := Encode([]byte("before"), h, facts)[len("before"):]
	gotHead, got, err := Decode(frame)
	if err != nil || gotHead != h {
		t.Fatalf("%+v %v", gotHead, err)
	}
	if diff := cmp.Diff(facts, got); diff != "" { // BodyAt, too
		t.Error(diff)
	}
	for _, at := range []struct {
		at   int
		want string
	}{{got[6].(*Took).BodyAt, "body one"}, {got[7].(*Answered).BodyAt, "body two"}, {got[14].(*Closed).BodyAt, "body three"}} {
		if !strings.HasPrefix(string(frame[at.at:]), at.want) {
			t.Errorf("at %d there is no %q", at.at, at.want)
		}
	}
	for n := range frame { // no part of a frame is taken for all of it, but where a fact ends
		if _, part, err := Decode(frame[:n]); err == nil && len(part) >= len(facts) {
			t.Errorf("the first %d bytes are %d facts", n, len(part))
		} else if err != nil && !errors.Is(err, ErrBad) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

func TestNewerThanThis(t *testing.T) {
	h, facts := oneOfEach()
	frame := Encode(nil, h, facts)
	newer := append(slices.Clone(frame), 200)
	if _, _, err := Decode(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("an unknown fact: %v", err)
	}
	newer = slices.Clone(frame)
	newer[0]++
	if _, _, err := Decode(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("an unknown version: %v", err)
	}
}

// Whatever is read is read again as the same, and can be applied.
func FuzzDecode(f *testing.F) {
	h, facts := oneOfEach()
	f.Add(Encode(nil, h, facts))
	for _, fact := range facts {
		f.Add(Encode(nil, h, []Fact{fact}))
	}
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, facts, err := Decode(frame)
		if err != nil {
			return
		}
		again, facts2, err := Decode(Encode(nil, h, facts))
		if err != nil || again != h {
			t.Fatalf("%v: %+v, then %+v", err, h, again)
		}
		anywhere := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".BodyAt" }, cmp.Ignore())
		if diff := cmp.Diff(facts, facts2, anywhere, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		p := New()
		p.Apply(Head{N: 1}, facts[:len(facts)/2])
		p.Apply(Head{N: 2}, facts)
		p.Words(io.Discard)
	})
}

// Logs that were written by the versions of the past make the pictures that they made then. They are never written anew.
func TestGoldenLogs(t *testing.T) {
	logs, err := filepath.Glob("testdata/log-v*.bin")
	if err != nil || len(logs) == 0 {
		t.Fatalf("%v, %v", logs, err)
	}
	kinds := map[uint8]bool{}
	for _, name := range logs {
		log, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(name, ".bin") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		p := New()
		for len(log) > 0 {
			n, size := binary.Uvarint(log)
			h, facts, err := Decode(log[size : size+int(n)])
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range facts {
				kinds[f.kind()] = true
			}
			p.Apply(h, facts)
			log = log[size+int(n):]
		}
		var got strings.Builder
		p.Words(&got)
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for kind := uint8(1); newFact(kind) != nil; kind++ {
		if !kinds[kind] {
			t.Errorf("no log has a %T", newFact(kind))
		}
	}
}
