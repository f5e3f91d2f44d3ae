package journal

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/message"
	"chatrelay/test/sqlfault"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// oldFolder unpacks a folder that chatrelay 3f1b3b0 left behind when it was killed: delivered both ways, three dead
// messages, 3 messages bound to an XMPP stream and 4 to an MQTT session, 4 more that wait, and one that backs off
// as its room is not joined.
func oldFolder(t testing.TB) (dir string) {
	t.Helper()
	return unpack(t, "testdata/3f1b3b0.tar.gz")
}

func unpack(t testing.TB, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Open(archive)
	must(t, err)
	defer f.Close() // read only
	z, err := gzip.NewReader(f)
	must(t, err)
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		must(t, err)
		b, err := io.ReadAll(r)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, filepath.Base(head.Name)), b, 0o600))
	}
}

func oldOptions(dir string) Options {
	return Options{Dir: dir, Notices: bridge.Notices{Sent: true, Delayed: true, Failed: true}, Log: zerolog.Nop(), Clock: newClock().Now}
}

func TestFolderOf3f1b3b0(t *testing.T) {
	b := openTest(t, oldOptions(oldFolder(t)))
	var v int
	if b.ask(&v, "PRAGMA user_version"); v != sqlite.SchemaVersion {
		t.Errorf("version %d, want %d", v, sqlite.SchemaVersion)
	}
	b.sum()
	b.wantCount(delivered, bridge.MQTT, "", 3)
	b.wantCount(delivered, bridge.XMPP, "", 3)
	if dead, err := b.List(t.Context(), Filter{Dead: true}); err != nil || len(dead) != 3 || dead[1].Reason != "bad_address" {
		t.Errorf("dead letters %+v (%v)", dead, err)
	}
	for _, e := range oldEnvelopes("done by stanza", "1001", "1002") {
		b.want(&bridge.Record{Origin: bridge.XMPP, From: "1001", Keys: []message.Key{e}, Redelivered: true, Deliveries: make([]bridge.Delivery, 1)}, bridge.OutcomeDuplicate)
	}
	for _, e := range oldEnvelopes("done by publish", "1003", "1004") {
		b.want(&bridge.Record{Origin: bridge.MQTT, From: "1003", Keys: []message.Key{e}, Redelivered: true, Deliveries: make([]bridge.Delivery, 1)}, bridge.OutcomeDuplicate)
	}
	inflight, err := b.Bound(t.Context(), bridge.MQTT)
	must(t, err)
	posts, err := b.Bound(t.Context(), bridge.XMPP)
	must(t, err)
	if len(inflight) != 4 || len(posts) != 3 {
		t.Fatalf("%d and %d are bound, want 4 and 3", len(inflight), len(posts))
	}
	b = b.reopen(oldOptions(b.opt.Dir))
	for _, l := range append(inflight, posts...) {
		b.Unbind(l.Ref)
	}
	b.deliverOld()
	for _, refs := range [][]bridge.Ref{{{Msg: 8}, {Msg: 9}}, {{Msg: 7}}} { // and a dead letter that comes back is delivered too
		must(t, b.Requeue(t.Context(), refs...))
	}
	for range 3 {
		b.settle(b.next(bridge.XMPP).Ref)
	}
	if a := b.Totals(); a.Pending[bridge.MQTT]+a.Pending[bridge.XMPP] != 0 {
		t.Errorf("pending %v", a.Pending)
	}
	b.sum()
}

// deliverOld brings all that waits: in order, with receipts for those that had asked, and a stanza error for one.
func (b *testJournal) deliverOld() {
	b.t.Helper()
	room, chats := 0, 0
	for range 4 {
		o := b.next(bridge.XMPP)
		if o.Kind == bridge.KindRoom {
			room++
		} else if want := fmt.Sprint("bound by publish ", chats); !strings.Contains(string(o.Body), want) {
			b.t.Errorf("%s, want %q", o.Body, want)
		} else {
			chats++
		}
		b.settle(o.Ref)
	}
	for i := 0; i < 8; {
		o := b.next(bridge.MQTT)
		if o.Kind != bridge.KindInbox {
			b.settle(o.Ref)
			continue
		}
		if want := fmt.Sprint("waits by stanza ", i); !strings.Contains(string(o.Body), want) {
			b.t.Errorf("%s, want %q", o.Body, want)
		}
		if i++; i == 7 { // number 6 had asked for a receipt
			b.bury(o.Ref, bridge.Refuse("no", "nobody"))
		} else {
			b.settle(o.Ref)
		}
	}
	// 0, 2, 4 have their receipts; 1, 3, 5, 7 had asked for none, and version 1 kept no address.
	answered := map[string]bridge.Kind{}
	for range 4 {
		o := b.next(bridge.XMPP)
		answered[o.Note.Reply.Handle[strings.LastIndex(o.Note.Reply.Handle, "\x00")+1:]] = o.Kind
		b.settle(o.Ref)
	}
	want := map[string]bridge.Kind{"wait-0": bridge.KindReceipt, "wait-2": bridge.KindReceipt, "wait-4": bridge.KindReceipt, "wait-6": bridge.KindError}
	if diff := cmp.Diff(want, answered); diff != "" {
		b.t.Error(diff)
	}
	b.nothing(bridge.XMPP)
}

// oldEnvelopes are the keys of the three messages that the old relay delivered of a kind.
func oldEnvelopes(text, from, to string) (keys []message.Key) {
	at := 1764460800001
	if from == "1003" {
		at++
	}
	for i := range 3 {
		body := fmt.Sprintf(`{"chatType":1,"content":"%s %d","from":"%s","to":"%s","timeStamp":%d}`, text, i, from, to, at+2*i)
		e, err := message.Parse([]byte(body), &message.Rules{MaxBytes: 4096})
		if err != nil {
			panic(err)
		}
		keys = append(keys, e.Key())
	}
	return keys
}

// A folder of schema 3, of a process that was killed: one message is bound, one was turned away three times and expires,
// one is dead and has its notice, one waits.
func TestFolderOfSchema3(t *testing.T) {
	dir := unpack(t, "testdata/d1cc981.tar.gz")
	r, err := OpenReadOnly(dir)
	must(t, err)
	if found, err := r.List(t.Context(), Filter{}); err != nil || len(found) == 0 {
		t.Errorf("looking finds %d deliveries (%v)", len(found), err)
	}
	must(t, r.Close())
	var v int
	db := rawDB(t, dir, sqlite.FileName)
	if must(t, db.QueryRow("PRAGMA user_version").Scan(&v)); v != 3 {
		t.Errorf("version %d", v)
	}
	must(t, db.Close())
	b := openTest(t, oldOptions(dir))
	if b.ask(&v, "PRAGMA user_version"); v != sqlite.SchemaVersion {
		t.Errorf("version %d, want %d", v, sqlite.SchemaVersion)
	}
	b.sum()
	bound, err := b.Bound(t.Context(), bridge.MQTT)
	if err != nil || len(bound) != 1 || string(bound[0].Binding) != "how" {
		t.Fatalf("bound: %+v (%v)", bound, err)
	}
	b.settle(bound[0].Ref)
	if dead, err := b.List(t.Context(), Filter{Dead: true}); err != nil || len(dead) != 1 || dead[0].Reason != "no" {
		t.Errorf("dead letters %+v (%v)", dead, err)
	}
	for _, to := range []string{"1004", "1008"} {
		o := b.next(bridge.XMPP)
		n, waited := b.Attempts(o.Ref)
		if wasTurnedAway := to == "1004"; o.To != to || waited != 0 || (n == 3) != wasTurnedAway || (o.Left > 0) != wasTurnedAway {
			t.Errorf("%+v, %d attempts, deferred for %v", o, n, waited)
		}
		b.settle(o.Ref)
	}
	b.nothing(bridge.XMPP)
	b.sum()
}

// Looking does not migrate: an old relay may be running on it.
func TestLookingDoesNotMigrate(t *testing.T) {
	dir := oldFolder(t)
	r, err := OpenReadOnly(dir)
	must(t, err)
	found, err := r.List(t.Context(), Filter{})
	must(t, err)
	must(t, r.Close())
	db, v := rawDB(t, dir, sqlite.OldName), 0
	must(t, db.QueryRow("PRAGMA user_version").Scan(&v))
	must(t, db.Close())
	if v != 1 || len(found) != 15 {
		t.Errorf("version %d, %d deliveries, want 1 and 15", v, len(found))
	}
}

// A process that ends anywhere in a migration leaves a folder that the next one migrates.
func TestMigrationStopsAnywhere(t *testing.T) {
	want := openTest(t, oldOptions(oldFolder(t))).picture()
	f, name := sqlfault.New(t)
	o := oldOptions(oldFolder(t))
	o.driver = name
	var copies []string
	f.Set(func(query string, _ bool) error {
		if strings.HasPrefix(query, "ALTER") || strings.HasPrefix(query, "UPDATE legs") || strings.HasPrefix(query, "PRAGMA user_version =") || query == "COMMIT" && len(copies) < 22 {
			copies = append(copies, copyFolder(t, o.Dir))
		}
		return nil
	})
	openTest(t, o).end()
	f.Set(nil)
	if len(copies) < 22 {
		t.Fatalf("%d stops, want one before and after each statement", len(copies))
	}
	for i, dir := range copies {
		b := openTest(t, oldOptions(dir))
		if got := b.picture(); got != want {
			t.Errorf("stop %d:\n%s\nwant\n%s", i, got, want)
		}
		b.end()
	}
}

// A folder of schema 4, of a process that was killed in the midst of all kinds of things: what the last version without a log
// found in it, in words, is beside it. A start finds the same, and so does one after a kill at any statement of the migration.
func TestFolderOfSchema4(t *testing.T) {
	text, err := os.ReadFile("testdata/daa6a88.txt")
	must(t, err)
	options := func(dir string) Options {
		c := newClock()
		c.add(1000 * time.Hour)
		o := options(dir)
		o.Sync, o.Clock, o.DedupMaxKeys = "os", c.Now, 64
		return o
	}
	found := func(what string, b *testJournal) {
		t.Helper()
		if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(b.picture(), "\n")); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		b.checkLanes()
	}
	f, name := sqlfault.New(t)
	o := options(unpack(t, "testdata/daa6a88.tar.gz"))
	o.driver = name
	stops := map[[32]byte]string{} // by what the files are
	f.Set(func(string, bool) error {
		dir := copyFolder(t, o.Dir)
		stops[sumOf(t, dir)] = dir
		return nil
	})
	b := openTest(t, o)
	f.Set(nil)
	found("migrated", b)
	b = b.reopen(options(o.Dir))
	found("opened again", b)
	b.sum()
	b.end()
	if len(stops) < 6 {
		t.Errorf("%d stops", len(stops))
	}
	for _, dir := range stops {
		b := openTest(t, options(dir))
		found("after a kill", b)
		b.end()
	}
}

func sumOf(t *testing.T, dir string) [32]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []byte
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		all = fmt.Appendf(all, "%s %x\n", e.Name(), sha256.Sum256(b))
	}
	return sha256.Sum256(all)
}
