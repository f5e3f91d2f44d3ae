package app

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is the beginning of every import path of ours.
const module = "chatrelay/"

// mayUse says of each package which others of ours it may import, directly or through others. Imports point one
// way: cmd, app, then sides, journal and admin, then bridge, then message.
func mayUse() map[string][]string {
	core := []string{"bridge", "message", "internal/wait"}
	return map[string][]string{
		"message":                  {},
		"bridge":                   {"message", "internal/wait"},
		"internal/dial":            {},
		"internal/fix":             {},
		"internal/wait":            {},
		"mqttside":                 append([]string{"internal/dial", "internal/fix", "mqttside/session"}, core...),
		"xmppside":                 append([]string{"internal/dial", "internal/fix", "xmppside/sm", "xmppside/stanza", "xmppside/mam", "xmppside/muc"}, core...),
		"mqttside/session":         {"internal/wait"},
		"xmppside/sm":              {"internal/wait"},
		"xmppside/stanza":          {},
		"xmppside/muc":             append([]string{"internal/fix", "xmppside/stanza"}, core...),
		"xmppside/mam":             append([]string{"internal/fix", "xmppside/sm", "xmppside/stanza"}, core...),
		"internal/journal":         append([]string{"internal/journal/picture", "internal/journal/sqlite", "internal/journal/fifo"}, core...),
		"internal/journal/picture": append([]string{"internal/journal/fifo"}, core...),
		"internal/journal/sqlite":  append([]string{"internal/journal/picture", "internal/journal/fifo"}, core...),
		"internal/journal/pg":      append([]string{"internal/journal/picture", "internal/journal/sqlite", "internal/journal/fifo"}, core...),
		"internal/journal/fifo":    {},
		"internal/admin":           append([]string{"internal/trace"}, core...),
		"internal/trace":           core,
		"configs":                  {},
		"internal/app":             append([]string{"configs", "mqttside", "mqttside/session", "xmppside", "xmppside/sm", "xmppside/stanza", "xmppside/mam", "xmppside/muc", "internal/dial", "internal/fix", "internal/journal", "internal/journal/picture", "internal/journal/sqlite", "internal/journal/fifo", "internal/admin", "internal/admin/console", "internal/trace"}, core...),
		"cmd/chatrelay":            append([]string{"internal/app", "configs", "mqttside", "mqttside/session", "xmppside", "xmppside/sm", "xmppside/stanza", "xmppside/mam", "xmppside/muc", "internal/dial", "internal/fix", "internal/journal", "internal/journal/picture", "internal/journal/sqlite", "internal/journal/fifo", "internal/admin", "internal/admin/console", "internal/trace"}, core...),
		"internal/admin/console":   append([]string{"internal/admin", "internal/trace"}, core...),
	}
}

func TestImportsPointOneWay(t *testing.T) {
	for name, allowed := range mayUse() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, dep := range deps(t, name) {
				if dep != name && !slices.Contains(allowed, dep) {
					t.Errorf("%s must not use %s", name, dep)
				}
			}
		})
	}
}

// TestProductUsesNoTestCode: what only tests and the demo need is no part of the relay.
func TestProductUsesNoTestCode(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"cmd/chatrelay").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if path == "testing" || strings.HasPrefix(path, module+"test/") || strings.HasPrefix(path, module+"demo") || strings.HasPrefix(path, module+"bridge/bridgetest") {
			t.Errorf("the relay has %s in it", path)
		}
	}
}

// deps are the packages of ours that a package is made of.
func deps(t *testing.T, name string) (out []string) {
	t.Helper()
	text, err := exec.Command("go", "list", "-deps", module+name).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", name, err)
	}
	for path := range strings.FieldsSeq(string(text)) {
		if ours, ok := strings.CutPrefix(path, module); ok {
			out = append(out, ours)
		}
	}
	return out
}
