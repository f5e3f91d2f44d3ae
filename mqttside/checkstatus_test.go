package mqttside

import (
	"context"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/test/servers"
)

// TestCheckStatus: the status topic is tried as the relay uses it, as its will. It leaves no retained message.
func TestCheckStatus(t *testing.T) {
	t.Parallel()
	const inboxes = "user chatrelay\ntopic readwrite /chat/#\n"
	for name, tc := range map[string]struct {
		acl, topic string
		ok         bool
		note       string
	}{
		"allowed":       {inboxes + "topic readwrite chatrelay/#", "chatrelay/chatrelay/status", true, "also as the will"},
		"no write":      {inboxes + "topic read chatrelay/#", "chatrelay/chatrelay/status", false, `"topic readwrite chatrelay/chatrelay/status"`},
		"no right":      {inboxes, "chatrelay/chatrelay/status", false, "CHATRELAY_STATUS_TOPIC"},
		"off":           {inboxes, "", true, "CHATRELAY_STATUS_TOPIC is off"},
		"another topic": {inboxes + "topic readwrite site/relay", "site/relay", true, "site/relay"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRights(t, servers.MosquittoConfig{ACL: tc.acl + "\n\nuser person\ntopic readwrite #"})
			r.cfg.StatusTopic = tc.topic
			steps := Check(t.Context(), r.cfg)
			st := steps[len(steps)-1]
			if !strings.Contains(st.Name, "status topic") || st.OK != tc.ok || st.Fatal || !strings.Contains(st.Text(), tc.note) {
				t.Errorf("%+v", st)
			}
			late := newPerson(t, r.broker.URL, "person", "#")
			late.says(t, "end", "end")
			if got := late.hears(t, 1)[0]; got != "end end" {
				t.Errorf("left at the broker: %s", got)
			}
		})
	}
}

// A broker that refuses a login with such a will refuses the relay.
func TestCheckWillRefused(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
		if c, ok := p.(*packets.ConnectPacket); ok && c.WillFlag {
			return []packets.ControlPacket{connack(5)}, true
		}
		return polite(p), false
	})
	steps := Check(t.Context(), testConfig(t, f.url()))
	if st := steps[len(steps)-1]; st.OK || !st.Fatal || !strings.Contains(st.Text(), "takes no login whose will is for chatrelay/chatrelay/status") {
		t.Errorf("%+v", steps)
	}
}

// What was retained may come before SUBACK (MQTT-3.8.4-3): it is passed over.
func TestRetainedBeforeSuback(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
		answers := polite(p)
		if s, ok := p.(*packets.SubscribePacket); ok {
			retained := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			retained.TopicName, retained.Retain, retained.Payload = s.Topics[0], true, []byte("x")
			answers = append([]packets.ControlPacket{retained}, answers...)
		}
		return answers, false
	})
	cfg := testConfig(t, f.url())
	urls, err := cfg.prepare()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	side, err := loginBeside(ctx, &cfg, urls[0], client{id: "c", clean: true}, levelPlain)
	if err != nil {
		t.Fatal(err)
	}
	if err := side.subscribe("s"); err != nil {
		t.Error(err)
	}
	side.end()
}
