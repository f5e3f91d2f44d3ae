package message

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// onePlace checks that one stretch only of a body changed, and how much of the body that is.
func onePlace(t *testing.T, before, after []byte, name string) {
	t.Helper()
	gone := 0
	for _, p := range pairs(t, before) {
		if p.Name == name {
			gone = len(p.Value)
		}
	}
	head := 0
	for head < min(len(before), len(after)) && before[head] == after[head] {
		head++
	}
	tail := 0
	for tail < min(len(before), len(after))-head && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	if head+tail < len(before)-gone {
		t.Fatalf("%d bytes of %q are left in %q, want %d", head+tail, before, after, len(before)-gone)
	}
}

// without leaves out the members of some names.
func without(list []pair, names ...string) []pair {
	return slices.DeleteFunc(list, func(p pair) bool { return slices.Contains(names, p.Name) })
}

func FuzzWithID(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s), "cr-1")
		f.Add([]byte(s), "\"\\\u2028\uFFFE\x00")
	}
	f.Fuzz(func(t *testing.T, b []byte, id string) {
		out := WithID(b, id)
		e, err := Parse(b, testRules())
		if err != nil || e.Notice || !utf8.ValidString(id) || id == "" || len(id) > maxID {
			return
		}
		after, err := Parse(out, &Rules{Own: "receiver"})
		if err != nil || after.ID != id {
			t.Fatalf("%q becomes %q: %+v, %v", b, out, after, err)
		}
		if after.Key() != e.KeyWithID(id) {
			t.Fatalf("KeyWithID of %q is not the key of %q", b, out)
		}
		onePlace(t, b, out, "id")
		if again := WithID(out, id); !bytes.Equal(again, out) {
			t.Fatalf("spliced again: %q, want %q", again, out)
		}
		after.ID = e.ID
		if !reflect.DeepEqual(e, after) {
			t.Fatalf("more than the id changed: %+v, was %+v", after, e)
		}
	})
}

func FuzzWithTo(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s), "1002")
		f.Add([]byte(s), "1077")
	}
	f.Fuzz(func(t *testing.T, b []byte, to string) {
		out := WithTo(b, to)
		e, err := Parse(b, testRules())
		if err != nil || e.Notice || !DefaultLandline(to) || to == "receiver" {
			return
		}
		after, err := Parse(out, &Rules{Own: "receiver"})
		if err != nil || after.To != to {
			t.Fatalf("%q becomes %q: %+v, %v", b, out, after, err)
		}
		onePlace(t, b, out, "to")
		if e.To == to && !bytes.Equal(b, out) {
			t.Fatalf("%q had this to, but became %q", b, out)
		}
		if e.Group() && after.Key() != e.Key() {
			t.Fatalf("the key of %q changed", b)
		}
		after.To = e.To
		if !reflect.DeepEqual(e, after) {
			t.Fatalf("more than to changed: %+v, was %+v", after, e)
		}
	})
}

func FuzzWithNotice(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s), "because", int64(1700000001000))
		f.Add([]byte(s), "", int64(-1))
	}
	f.Fuzz(func(t *testing.T, b []byte, reason string, ms int64) {
		at := noticeTime.AddDate(0, 0, int(ms%100000))
		was := bytes.Clone(b)
		out := WithNotice(b, "failed", reason, at)
		if !bytes.Equal(b, was) || !bytes.Equal(out, WithNotice(b, "failed", reason, at)) {
			t.Fatalf("WithNotice of %q changes it, or is not always the same", b)
		}
		var k known
		if k.read(b) != nil {
			if !bytes.Equal(out, b) {
				t.Fatalf("%q is no sound object, but became %q", b, out)
			}
			return
		}
		if again := WithNotice(out, "failed", reason, at); !bytes.Equal(again, out) {
			t.Fatalf("of itself: %q, want %q", again, out)
		}
		if e, err := Parse(out, &Rules{}); err != nil || !e.Notice {
			t.Fatalf("%q is not recognised: %+v, %v", out, e, err)
		}
		if grown := len(out) - len(b); grown > 12*len(reason)+120 {
			t.Fatalf("%d bytes grew by %d for a reason of %d", len(b), grown, len(reason))
		}
		changed := []string{"status", "statusTime", "reason"}
		if diff := cmp.Diff(without(pairs(t, b), changed...), without(pairs(t, out), changed...)); diff != "" {
			t.Fatalf("other members changed:\n%s", diff)
		}
		checkNotice(t, out, reason, at.UnixMilli())
	})
}

// checkNotice reads the notice as its two kinds of readers do: those that take the first of two fields of one
// name, and those that take the last.
func checkNotice(t *testing.T, b []byte, reason string, ms int64) {
	t.Helper()
	want := map[string]any{"status": "failed", "statusTime": float64(ms)}
	if reason != "" {
		want["reason"] = strings.ToValidUTF8(reason, "?")
	}
	list := pairs(t, b)
	for name, value := range want {
		is := func(p pair) bool { return p.Name == name }
		first := slices.IndexFunc(list, is)
		last := len(list) - 1
		for last >= 0 && !is(list[last]) {
			last--
		}
		if first < 0 {
			t.Fatalf("%q has no %s", b, name)
		}
		for _, p := range []pair{list[first], list[last]} {
			var got any
			if err := json.Unmarshal([]byte(p.Value), &got); err != nil || got != value {
				t.Fatalf("%s is %s in %q, want %v", name, p.Value, b, value)
			}
		}
	}
}

func FuzzXMLSafe(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s))
	}
	f.Add([]byte("\xef\xbf\uFFFF\xef\xbf"))
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		out := XMLSafe(b)
		if !bytes.Equal(b, was) || !bytes.Equal(XMLSafe(out), out) {
			t.Fatalf("XMLSafe changes %q itself, or its own work", b)
		}
		if bytes.Contains(out, []byte("\uFFFE")) || bytes.Contains(out, []byte("\uFFFF")) {
			t.Fatalf("%q is not safe", out)
		}
		if raw := bytes.ReplaceAll(bytes.ReplaceAll(out, []byte(`\ufffe`), []byte("\uFFFE")), []byte(`\uffff`), []byte("\uFFFF")); !bytes.Contains(b, []byte(`\ufff`)) && !bytes.Equal(raw, b) {
			t.Fatalf("other bytes of %q changed: %q", b, out)
		}
		if !json.Valid(b) {
			return
		}
		e, err := Parse(b, &Rules{})
		after, errAfter := Parse(out, &Rules{})
		if (err == nil) != (errAfter == nil) || !reflect.DeepEqual(e, after) {
			t.Fatalf("%q reads as %+v, %v, before as %+v, %v", out, after, errAfter, e, err)
		}
		if err == nil && after.Key() != e.Key() {
			t.Fatalf("the key of %q changed", b)
		}
	})
}
