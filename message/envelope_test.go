package message

import (
	"strings"
	"testing"
)

func TestRulesLandline(t *testing.T) {
	only := func(s string) bool { return s == "desk" || s == "receiver" }
	for name, tt := range map[string]struct {
		rules          Rules
		from, to, want string
	}{
		"own rule, good":            {Rules{Landline: only}, `"desk"`, `"desk"`, "accepted"},
		"own rule, bad from":        {Rules{Landline: only}, `"1001"`, `"desk"`, BadFrom},
		"own rule, bad to":          {Rules{Landline: only}, `"desk"`, `"1001"`, BadTo},
		"own account, own rule":     {Rules{Landline: only, Own: "receiver"}, `"receiver"`, `"desk"`, BadFrom},
		"own account as to":         {Rules{Landline: only, Own: "receiver"}, `"desk"`, `"receiver"`, BadTo},
		"no own account":            {Rules{}, `"receiver"`, `"1"`, "accepted"},
		"own account as a number":   {Rules{Own: "7"}, `7`, `"1"`, BadFrom},
		"empty never, own rule":     {Rules{Landline: func(string) bool { return true }, Own: "receiver"}, `""`, `"1"`, BadFrom},
		"own compared byte by byte": {Rules{Own: "receiver"}, `"receiver1"`, `"Receiver"`, "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, why := refusal(t, body(t, "from", tt.from, "to", tt.to), &tt.rules); why.Reason != tt.want {
				t.Errorf("got %s, want %s", why.Reason, tt.want)
			}
		})
	}
}

func TestDefaultLandline(t *testing.T) {
	for s, want := range map[string]bool{
		"1": true, "1001": true, "a": true, "Z": true, "a.b_c-d": true, "0-": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, ".a": false, "_a": false, "-a": false, "a b": false, "a+": false,
		"#": false, "a/b": false, "a@b": false, "$SYS": false, "ä": false, "a\x00": false, "a\n": false, "１": false,
		"a\u200d": false, "a:": false, "a[": false, "a`": false, "a{": false,
	} {
		if got := DefaultLandline(s); got != want {
			t.Errorf("DefaultLandline(%q) = %v, want %v", s, got, want)
		}
	}
}
