package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
)

// fits wants all of a journal to fit together.
func fits(t testing.TB, dir string) *Verdict {
	t.Helper()
	v, err := Verify(context.WithoutCancel(t.Context()), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range v.Wrong {
		t.Error("verify:", line)
	}
	return v
}

// lived is a folder in which much has happened. stopped: the tables know all, and the log still has some of it; else the log alone
// has some.
func lived(t *testing.T, stopped bool) string {
	t.Helper()
	o := options(t.TempDir())
	o.Clock = newClock().Now // no checkpoint by time
	b := openTest(t, o)
	b.live(1)
	dead, err := b.List(t.Context(), Filter{Dead: true})
	must(t, err)
	must(t, b.Requeue(t.Context(), dead[0].Ref))
	b.live(2)
	b.want(direct(bridge.XMPP, "1001", "9001", "bound"), bridge.OutcomeTaken)
	for x := b.next(bridge.MQTT); ; x = b.next(bridge.MQTT) {
		if x.To == "9001" {
			b.bind(x.Ref, "packet")
			break
		}
	}
	if stopped {
		b.end()
	}
	return copyFolder(t, o.Dir)
}

// TestVerifyFinds changes one thing in a journal's files.
func TestVerifyFinds(t *testing.T) {
	const bound = "(SELECT max(id) FROM messages)"
	for stopped, changes := range map[bool]map[string]string{
		true: {
			"UPDATE legs SET dest = '77' WHERE msg = " + bound:                                                        "in the tables:",
			"UPDATE legs SET attempts = 9 WHERE msg = " + bound:                                                       "in the tables:",
			"DELETE FROM bound; DELETE FROM legs WHERE msg = " + bound:                                                "in the tables:",
			"UPDATE messages SET sender = '77' WHERE id = " + bound:                                                   "in the tables:",
			"UPDATE messages SET body = x'00' WHERE id = " + bound:                                                    "in the tables:",
			"UPDATE messages SET body = 'text 9' WHERE id = " + bound:                                                 "another content",
			"DELETE FROM bound; DELETE FROM legs WHERE msg = " + bound + "; DELETE FROM messages WHERE id = " + bound: "is missing",
			"DELETE FROM bound":                                                       "in the tables:",
			"UPDATE seen SET keys = x''":                                              "has a key",
			"UPDATE side_state SET value = x'00' WHERE side > 0":                      "keeps as",
			"UPDATE meta SET v = 7 WHERE k = 'log_sum'":                               "different times",
			"log UPDATE log SET frame = x'00' WHERE n = (SELECT max(n) - 1 FROM log)": "another sum",
			"log DELETE FROM log WHERE n = (SELECT max(n) - 1 FROM log)":              "has no frame",
			"log DELETE FROM log WHERE n > (SELECT min(n) FROM log)":                  "ends with frame",
			"log UPDATE meta SET v = '0000000000' WHERE k = 'journal'":                "belongs to journal",
		},
		false: {
			"DELETE FROM messages WHERE id IN (SELECT msg FROM legs WHERE state = 1)": "have no message",
			"UPDATE totals SET n = n + 1 WHERE name = 'received'":                     "were received",
			"INSERT INTO bound VALUES (9999, 9999, x'00')":                            "have no delivery",
			"UPDATE meta SET v = 1 WHERE k = 'next'":                                  "never given out",
			"PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'CREATE INDEX dead ON legs (msg, leg) WHERE state = 0' WHERE name = 'dead'": "missing from index",
			"log UPDATE log SET frame = x'00' WHERE n = (SELECT max(n) FROM log)":                                                                   "another sum",
			"log DELETE FROM log WHERE n = (SELECT max(n) - 1 FROM log)":                                                                            "has no frame",
		},
	} {
		folder := lived(t, stopped)
		v := fits(t, folder)
		if v.Position == 0 || stopped != (v.Last == v.Position) || stopped && v.Compared < 5 || v.Open == 0 || v.Dead == 0 {
			t.Fatalf("stopped %v: it is %+v", stopped, v)
		}
		for query, want := range changes {
			dir, file := copyFolder(t, folder), sqlite.FileName
			if rest, ok := strings.CutPrefix(query, "log "); ok {
				query, file = rest, sqlite.LogName
			}
			db := rawDB(t, dir, file)
			_, err := db.Exec(query)
			must(t, errors.Join(err, db.Close()))
			found(t, query, dir, want)
		}
		must(t, os.WriteFile(filepath.Join(folder, sqlite.LockName), []byte("0000000000"), 0o600))
		found(t, "another stamp", folder, "belongs here")
	}
}

// found wants something to be wrong.
func found(t *testing.T, what, dir, want string) {
	t.Helper()
	v, err := Verify(t.Context(), dir)
	if err == nil && len(v.Wrong) == 0 {
		t.Errorf("%s: nothing is found", what)
		return
	}
	said := ""
	if v != nil {
		said = strings.Join(v.Wrong, "\n")
	}
	if err != nil {
		said += err.Error()
	}
	if t.Logf("%s: %s", what, said); !strings.Contains(said, want) {
		t.Errorf("%s: it says %q, want %q", what, said, want)
	}
}

// What an older version has left is not looked at before a start has made it whole.
func TestVerifyOlder(t *testing.T) {
	for _, name := range []string{"3f1b3b0", "d1cc981"} {
		if _, err := Verify(t.Context(), unpack(t, "testdata/"+name+".tar.gz")); err == nil || !strings.Contains(err.Error(), "start the relay once") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Verify(t.Context(), t.TempDir()); err == nil {
		t.Error("there is no journal, and no error")
	}
}

// Whatever happens to messages, tables and log say the same of it.
func TestVerifyWhileItRuns(t *testing.T) {
	c := newClock()
	o := options(t.TempDir())
	o.Clock, o.Sync = c.Now, "os"
	b := openTest(t, o)
	for n := range 6 {
		b.live(n)
		if n%2 == 0 {
			c.add(checkpointEvery * 1_000_000)
		}
		v := fits(t, o.Dir)
		if a := b.Totals(); v.Pending[bridge.XMPP] != a.Pending[bridge.XMPP] || v.Counts[bridge.Counter{Name: received, Side: bridge.XMPP}] != b.counter(received, bridge.XMPP, "") {
			t.Errorf("it has %d pending, %v; the relay %d, %v", v.Pending[bridge.XMPP], v.Counts, a.Pending[bridge.XMPP], a.Counts)
		}
	}
}
