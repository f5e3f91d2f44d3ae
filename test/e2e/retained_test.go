package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// TestRetainedCopy: NATS takes the mark off a live retained message, so it is relayed. After a new subscription the stored
// copy comes, marked: what was delivered is a duplicate, and only what the relay never had is refused.
func TestRetainedCopy(t *testing.T) {
	t.Parallel()
	nats := servers.NewNATS(t)
	x := servers.NewProsody(t, servers.XMPPConfig{})
	relay := stage.NewRelay(t, binary, map[string]string{
		"MQTT_URL": nats.URL, "TOPIC_PREFIX": stage.Prefix, "MQTT_CLIENT_ID": "first",
		"XMPP_JID": x.JID("receiver"), "XMPP_PASSWORD": x.Password("receiver"), "XMPP_ADDR": x.Addr, "XMPP_CA_FILE": x.CAFile,
	})
	notices := make(chan string, 10)
	person, err := clients.DialMQTT(t.Context(), clients.MQTTConfig{
		Addr: nats.Addr, ClientID: "1002", Subscribe: []string{stage.Inbox("1002")},
		OnMessage: func(_ string, payload []byte) { notices <- string(payload) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	relay.Start()
	live := stage.Direct("1002", "1001", "live")
	if err := person.Retain(t.Context(), stage.Inbox("1001"), []byte(live.String())); err != nil {
		t.Fatal(err)
	}
	relay.Until("delivered", func(s stage.Status) bool { return s.Counts["delivered"] == 1 })
	await := func(status, about string) {
		t.Helper()
		select {
		case got := <-notices:
			var e stage.Envelope
			if err := json.Unmarshal([]byte(got), &e); err != nil || e.Status != status || e.About() != about {
				t.Errorf("got %s, want %s of %s", got, status, about)
			}
		case <-time.After(stage.WaitLimit):
			t.Errorf("no %s of %s", status, about)
		}
	}
	await("sent", "live")
	relay.Stop()
	stored := stage.Direct("1002", "1003", "stored") // nobody hears it live
	if err := person.Retain(t.Context(), stage.Inbox("1003"), []byte(stored.String())); err != nil {
		t.Fatal(err)
	}
	relay.Set("MQTT_CLIENT_ID", "second")
	relay.Start()
	s := relay.Until("both copies came", func(s stage.Status) bool { return s.Counts["duplicate"]+s.Counts["refused"] >= 2 })
	if s.Counts["duplicate"] != 1 || s.Reasons["refused retained"] != 1 || s.Counts["delivered"] != 1 {
		t.Errorf("counted %v", s)
	}
	await("failed", "stored")
	relay.Balanced()
}
