package mqttside

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// TestTwoRelays: a second relay for the same inboxes, with a client id of its own, is named; one for other inboxes is not.
func TestTwoRelays(t *testing.T) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{})
	one, _ := named(t, broker.URL, "one")
	start(t, bridgetest.NewMemory(t), one).up(t)
	elsewhere, quiet := named(t, broker.URL, "elsewhere")
	elsewhere.Prefix, elsewhere.StatusTopic = "/other", "site/relay-elsewhere/state"
	l := start(t, bridgetest.NewMemory(t), elsewhere)
	l.up(t)
	two, log := named(t, broker.URL, "two")
	second := start(t, bridgetest.NewMemory(t), two)
	second.eventually(t, "it is said", func() bool { return log.has("another relay is online for the same topic prefix") })
	if n := log.times("another relay is online"); n != 1 || !log.has("relay-one") || !log.has("one relay per account and topic prefix") {
		t.Errorf("said %d times: %s", n, log.text.String())
	}
	second.up(t)
	l.lookForOthers(t.Context(), l.urls[0]) // it sees all there is, and takes none for its own
	if quiet.has("another relay is online") {
		t.Error("a relay for other inboxes is taken for a second one")
	}
}

func TestStatusFilters(t *testing.T) {
	for topic, want := range map[string][]string{
		"":                    {"chatrelay/+/status"},
		"chatrelay/c/status":  {"chatrelay/+/status"},
		"site/c/relays/c":     {"site/+/relays/+", "chatrelay/+/status"},
		"site/relay":          {"site/relay", "chatrelay/+/status"},
		"chatrelay/cc/status": {"chatrelay/cc/status", "chatrelay/+/status"},
	} {
		if d := cmp.Diff(want, statusFilters(&Config{ClientID: "c", StatusTopic: topic})); d != "" {
			t.Errorf("%q: %s", topic, d)
		}
	}
}
