package configs

import (
	"errors"
	"strings"
	"testing"
)

// TestTables: each bad line is said with its number, and the good ones around it are still read.
func TestTables(t *testing.T) {
	tests := map[string]struct {
		variable, content string
		says              []string // one for each problem, in order
	}{
		"groups, every line has something": {"GROUPS_FILE", strings.Join([]string{
			"team@rooms.example,1001",
			"team@rooms.example",
			"team@rooms.example,1001,x",
			"rooms.example,1001",
			"team@rooms.example/nick,1001",
			"Team@rooms.example,1001",
			"team@rooms.example,10/01",
			"",
			"team@rooms.example,1001",
			"team@rooms.example,receiver",
			"groupJid,landline",
			`"team@rooms.example,1003`,
		}, "\n"), []string{
			"line 2: has 1 fields", "line 3: has 3 fields", "line 4: \"rooms.example\" has no name", "line 5: \"team@rooms.example/nick\" has a resource: write team@rooms.example",
			"line 6: \"Team@rooms.example\" is compared in another form: write team@rooms.example", "line 7: \"10/01\" is no landline",
			"line 9: 1001 is a member of this room already", "line 10: receiver is the relay's own account", "line 11: \"groupJid\" has no name", "line 12: ",
		}},
		"identity, every line has something": {"IDENTITY_FILE", strings.Join([]string{
			"Desk,desk@example.org",
			"Desk,other@example.org",
			"1002,desk@example.org",
			"1003,receiver@example.org",
			"receiver,x@example.org",
			"1004,x@example.org/r",
			"+,x@example.org",
		}, "\r\n"), []string{
			"line 2: Desk has a row already", "line 3: desk@example.org is the JID of Desk already", "line 4: receiver@example.org is the relay's own account",
			"line 5: receiver is the relay's own account", "line 6: \"x@example.org/r\" has a resource", "line 7: \"+\" is no landline",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load(least(Prefix + tt.variable + "=" + file(t, tt.content)))
			var got Problems
			if !errors.As(err, &got) || len(got) != len(tt.says) {
				t.Fatalf("got %v\nwant %d problems", err, len(tt.says))
			}
			for i, want := range tt.says {
				if got[i].Variable != Prefix+tt.variable || !strings.Contains(got[i].Wrong, want) {
					t.Errorf("problem %d is %q, want %q", i, got[i], want)
				}
			}
		})
	}
	for _, variable := range []string{"GROUPS_FILE", "IDENTITY_FILE"} {
		for _, path := range []string{"/nowhere/at/all", t.TempDir()} {
			_, err := Load(least(Prefix + variable + "=" + path))
			var got Problems
			if !errors.As(err, &got) || len(got) != 1 || !strings.Contains(got[0].Wrong, "cannot be read") || got[0].Variable != Prefix+variable {
				t.Errorf("%s=%s: %v", variable, path, err)
			}
		}
	}
}
