package configs

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A component says more than a client: nothing else tells where its server is and where people live.
func TestComponent(t *testing.T) {
	load := func(more ...string) (Config, error) {
		least := []string{"XMPP_MODE=component", "XMPP_JID=relay.example.org", "XMPP_PASSWORD=hunter2", "XMPP_ADDR=localhost:5347", "XMPP_USER_DOMAIN=example.org"}
		var env []string
		for _, e := range append(least, more...) {
			env = append(env, Prefix+e)
		}
		return Load(env)
	}
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if !c.XMPP.Component() || c.XMPP.Security() != "off" || c.XMPP.Account() != "" || !c.XMPP.Text() || c.XMPP.Domain() != "example.org" {
		t.Errorf("got component %v, TLS %s, account %q, domain %s", c.XMPP.Component(), c.XMPP.Security(), c.XMPP.Account(), c.XMPP.Domain())
	}
	if c, err = load("XMPP_ADDR=chat.example.org:5348", "XMPP_TLS=direct"); err != nil || c.XMPP.Security() != "direct" {
		t.Errorf("by TLS: %v, %s", err, c.XMPP.Security())
	}
	if c, err = load("XMPP_BODY=json"); err != nil || c.XMPP.Text() {
		t.Errorf("json: %v, text %v", err, c.XMPP.Text())
	}
	for _, filter := range []string{"/chat/+/status", "+/status", "status/+", "chatrelay/+/state"} {
		if c, err = load("MQTT_PRESENCE=" + filter); err != nil || c.MQTT.Presence != filter {
			t.Errorf("%s: %v, %s", filter, err, c.MQTT.Presence)
		}
	}
	for name, tt := range map[string]struct {
		env            []string
		variable, says string
	}{
		"of no kind":             {[]string{"XMPP_MODE=server"}, "XMPP_MODE", "client or component"},
		"bodies of no kind":      {[]string{"XMPP_BODY=xml"}, "XMPP_BODY", "json or text"},
		"text of a client":       {[]string{"XMPP_MODE=client", "XMPP_JID=receiver@example.org", "XMPP_BODY=text"}, "XMPP_BODY", "is not component"},
		"an account":             {[]string{"XMPP_JID=receiver@example.org"}, "XMPP_JID", "relay.example.org"},
		"no address":             {[]string{"XMPP_ADDR="}, "XMPP_ADDR", "localhost:5347"},
		"no user domain":         {[]string{"XMPP_USER_DOMAIN="}, "XMPP_USER_DOMAIN", "where people have their accounts"},
		"its own domain":         {[]string{"XMPP_USER_DOMAIN=relay.example.org"}, "XMPP_USER_DOMAIN", "the component's own domain"},
		"starttls":               {[]string{"XMPP_TLS=starttls"}, "XMPP_TLS", "or direct"},
		"far away without TLS":   {[]string{"XMPP_ADDR=192.0.2.1:5347"}, "XMPP_TLS", "write direct"},
		"a CA without TLS":       {[]string{"XMPP_CA_FILE=/nowhere"}, "XMPP_CA_FILE", "CHATRELAY_XMPP_TLS is off"},
		"presence of a client":   {[]string{"XMPP_MODE=client", "XMPP_JID=receiver@example.org", "MQTT_PRESENCE=/chat/+/status"}, "MQTT_PRESENCE", "is not component"},
		"presence of nobody":     {[]string{"MQTT_PRESENCE=/chat/1001/status"}, "MQTT_PRESENCE", "such as /chat/+/status"},
		"presence of all":        {[]string{"MQTT_PRESENCE=/chat/#"}, "MQTT_PRESENCE", "such as /chat/+/status"},
		"presence, and more":     {[]string{"MQTT_PRESENCE=/chat/+/+"}, "MQTT_PRESENCE", "such as /chat/+/status"},
		"presence in a part":     {[]string{"MQTT_PRESENCE=/chat/x+/status"}, "MQTT_PRESENCE", "such as /chat/+/status"},
		"presence of the broker": {[]string{"MQTT_PRESENCE=$SYS/+/status"}, "MQTT_PRESENCE", "such as /chat/+/status"},
		"presence in inboxes":    {[]string{"MQTT_PRESENCE=/chat/+"}, "MQTT_PRESENCE", "takes in inboxes"},
		"presence in one inbox":  {[]string{"TOPIC_PREFIX=/chat/in", "MQTT_PRESENCE=/chat/+/status"}, "MQTT_PRESENCE", "takes in inboxes"},
		"presence of the relay":  {[]string{"MQTT_PRESENCE=chatrelay/+/status"}, "MQTT_PRESENCE", "the relay's own status topic"},
		"a row of its own":       {[]string{"IDENTITY_FILE=" + file(t, "1001,1001@relay.example.org")}, "IDENTITY_FILE", "where the person lives"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(tt.env...)
			var got Problems
			if !errors.As(err, &got) || !slices.ContainsFunc(got, func(p Problem) bool {
				return p.Variable == Prefix+tt.variable && strings.Contains(p.String(), tt.says)
			}) {
				t.Errorf("got %v\nwant %s: %s", err, tt.variable, tt.says)
			}
		})
	}
}
