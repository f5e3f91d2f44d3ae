package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// asComponent is what makes the relay of a stage a component.
func asComponent(s *stage.Stage) map[string]string {
	return map[string]string{
		"XMPP_MODE": "component", "XMPP_JID": s.XMPP.Component, "XMPP_PASSWORD": s.XMPP.Secret(), "XMPP_ADDR": s.XMPP.ComponentAddr,
		"XMPP_USER_DOMAIN": s.XMPP.Domain, "XMPP_CA_FILE": "",
	}
}

// In component mode a person who knows nothing of JSON talks with a device.
func TestComponent(t *testing.T) {
	for _, x := range stage.XMPPServers() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, stage.Plan{Start: x.Start, XMPP: servers.XMPPConfig{Component: "relay"}, Wire: asComponent,
				Env: map[string]string{"NOTICES": "sent,delayed,failed,received,read,typing", "MQTT_PRESENCE": stage.Prefix + "/+/status"}})
			at := func(landline string) string { return landline + "@" + c.XMPP.Component }
			t.Run("text", func(t *testing.T) {
				envelope := c.toDevice(t, "1001", at("1002"), "m1", "<body>hello &lt;there&gt; 你好</body><request xmlns='urn:xmpp:receipts'/>", "hello <there> 你好")
				if envelope["id"] != "m1" || envelope["to"] != "1002" || envelope["chatType"] != 1.0 || envelope["timeStamp"] == nil {
					t.Errorf("got %v", envelope)
				}
				c.h.want(t, "a receipt for m1", stage.WaitLimit, func(e event) bool { return e.st.Received == "m1" && e.st.From == at("1002") })
				e := stage.Direct("1002", "1001", "hi & welcome")
				c.publish(t, "1002", "1001", e.String())
				c.h.wantMQTT(t, "1001", e.String()) // the broker's own delivery
				got := c.h.want(t, "the answer", stage.WaitLimit, func(x event) bool { return x.side == "xmpp" && x.inbox == "1001" && x.body == e.Content }).st
				if got.From != at("1002") || got.Type != "chat" {
					t.Errorf("got %+v", got)
				}
				c.h.wantNotice(t, "1002", "sent", e.Content)
				// An answer to that names it as the device does.
				inner := fmt.Sprintf("<body>&gt; hi\nthanks</body><reply xmlns='urn:xmpp:reply:0' id='%s'/>"+
					"<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='5'/></fallback>", clients.Escape(got.ID))
				if envelope := c.toDevice(t, "1001", at("1002"), "m2", inner, "thanks"); envelope["replyTo"] != e.ID {
					t.Errorf("got %v, want an answer to %s", envelope, e.ID)
				}
			})
			t.Run("correction", func(t *testing.T) {
				envelope := c.toDevice(t, "1001", at("1002"), "m3", "<body>better</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>", "better")
				if envelope["replaces"] != "m1" {
					t.Errorf("got %v", envelope)
				}
			})
			t.Run("an envelope", func(t *testing.T) {
				e := stage.Direct("1003", "1004", "by a program")
				if err := c.Person("1003").X.Send(at("1004"), "chat", "", e.String()); err != nil {
					t.Fatal(err)
				}
				c.h.wantMQTT(t, "1004", e.String())
				c.h.wantNotice(t, "1003", "sent", e.Content)
			})
			t.Run("for another", func(t *testing.T) { // who it is from, and for, is proven
				for _, e := range []stage.Envelope{stage.Direct("1004", "1002", "forged"), stage.Direct("1003", "1001", "misdirected")} {
					before := c.Relay.Status()
					if err := c.Person("1003").X.Send(at("1002"), "chat", "bad", e.String()); err != nil {
						t.Fatal(err)
					}
					got := c.h.want(t, "an error", stage.WaitLimit, func(x event) bool { return x.inbox == "1003" && x.st.Type == "error" && x.st.ID == "bad" }).st
					if got.From != at("1002") || got.Text == "" {
						t.Errorf("got %+v", got)
					}
					c.Relay.WantRefused(t, before)
				}
			})
			t.Run("in capitals", func(t *testing.T) { c.capitals(t) })
			t.Run("in a room", func(t *testing.T) { c.roomTalk(t) })
			t.Run("of the moment", func(t *testing.T) { c.moments(t, at) })
			t.Run("presence", func(t *testing.T) { c.presence(t, at) })
			t.Run("hostile", func(t *testing.T) { c.hostile(t, at) })
			c.Relay.Balanced()
			c.h.wantNothing(t)
			c.Relay.Stop()
		})
	}
}

// capitals: ejabberd hands on addresses in the letters that people type, at their login too. The account is who speaks all the same, and
// is nobody else.
func (c *chat) capitals(t *testing.T) {
	if err := c.XMPP.AddUser("anna", "pw-anna"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), stage.WaitLimit)
	defer cancel()
	x, err := clients.DialXMPP(ctx, clients.XMPPConfig{Addr: c.XMPP.Addr, Domain: c.XMPP.Domain, User: "ANNA", Password: "pw-anna",
		OnStanza: func(s clients.Stanza) { c.h.HearXMPP("anna", s) }})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	send := func(to, id, body string) {
		t.Helper()
		raw := fmt.Sprintf("<message to='%s' type='chat' id='%s'><body>%s</body><request xmlns='urn:xmpp:receipts'/></message>", to, id, clients.Escape(body))
		if err := x.Raw(raw); err != nil {
			t.Fatal(err)
		}
	}
	send("1002@"+strings.ToUpper(c.XMPP.Component), "a1", "typed in capitals")
	c.h.want(t, "a message of anna", stage.WaitLimit, func(e event) bool {
		return e.side == "mqtt" && e.inbox == "1002" && e.env.From == "anna" && e.env.To == "1002" && e.env.Content == "typed in capitals"
	})
	c.h.want(t, "a receipt for a1", stage.WaitLimit, func(e event) bool { return e.inbox == "anna" && e.st.Received == "a1" })
	before := c.Relay.Status()
	send(strings.ToUpper(c.XMPP.Component), "a2", stage.Direct("ANNA", "1002", "as ANNA, who is another").String())
	c.h.want(t, "an error for a2", stage.WaitLimit, func(e event) bool { return e.inbox == "anna" && e.st.Type == "error" && e.st.ID == "a2" })
	c.Relay.WantRefused(t, before)
	e := stage.Direct("1002", "anna", "welcome")
	c.publish(t, "1002", "anna", e.String())
	got := c.h.want(t, "the answer", stage.WaitLimit, func(x event) bool { return x.inbox == "anna" && x.body == e.Content }).st
	c.h.wantNotice(t, "1002", "sent", e.Content)
	if err := x.Raw(fmt.Sprintf("<message to='%s' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='%s'/></message>", got.From, clients.Escape(got.ID))); err != nil {
		t.Fatal(err)
	}
	c.h.want(t, "that anna has read it", stage.WaitLimit, func(x event) bool {
		return x.side == "mqtt" && x.inbox == "1002" && x.env.Status == "read" && x.env.ID == e.ID
	})
}

// roomTalk: what people say in a room is a message, and what devices say there is a text.
func (c *chat) roomTalk(t *testing.T) {
	room := c.XMPP.Room("team")
	if err := c.Person("1002").X.Send(room, "groupchat", "g1", "good morning"); err != nil {
		t.Fatal(err)
	}
	c.h.wantRoom(t, "1002", "good morning")
	for _, name := range []string{"1001", "1003", "1004"} {
		c.h.want(t, "a copy for "+name, stage.WaitLimit, func(e event) bool {
			return e.side == "mqtt" && e.inbox == name && e.env.Content == "good morning" && e.env.From == "1002" && e.env.To == name && e.env.GroupJID == room && e.env.ID == "g1"
		})
	}
	c.h.wantNotice(t, "1002", "sent", "good morning")
	e := stage.Grouped("1003", room, "to all by MQTT")
	for _, to := range []string{"1001", "1002", "1004"} {
		c.publish(t, "1003", to, e.String())
		c.h.wantMQTT(t, to, e.String()) // the broker's own delivery
	}
	c.h.wantRoom(t, "1003_2", "to all by MQTT") // a person has the nick 1003
	c.h.wantNotice(t, "1003", "sent", e.Content)
}

// moments: receipts, markers and who is writing, both ways.
func (c *chat) moments(t *testing.T, at func(string) string) {
	receipt := func(inbox, status, from, to, id string) {
		t.Helper()
		c.h.want(t, status+" in the inbox of "+inbox, stage.WaitLimit, func(e event) bool {
			return e.side == "mqtt" && e.inbox == inbox && e.env.Status == status && e.env.From == from && e.env.To == to && e.env.ID == id
		})
	}
	raw := func(inner string) {
		t.Helper()
		if err := c.Person("1001").X.Raw("<message to='" + at("1002") + "' type='chat'>" + inner + "</message>"); err != nil {
			t.Fatal(err)
		}
	}
	e := stage.Direct("1002", "1001", "did you get this?")
	c.publish(t, "1002", "1001", e.String())
	c.h.wantMQTT(t, "1001", e.String())
	got := c.h.want(t, "the message", stage.WaitLimit, func(x event) bool { return x.side == "xmpp" && x.inbox == "1001" && x.body == e.Content }).st
	c.h.wantNotice(t, "1002", "sent", e.Content)
	raw("<received xmlns='urn:xmpp:receipts' id='" + clients.Escape(got.ID) + "'/>")
	receipt("1002", "received", "1002", "1001", e.ID)
	raw("<displayed xmlns='urn:xmpp:chat-markers:0' id='" + clients.Escape(got.ID) + "'/>")
	receipt("1002", "read", "1002", "1001", e.ID)
	raw("<composing xmlns='http://jabber.org/protocol/chatstates'/>")
	receipt("1002", "typing", "1001", "1002", "")

	c.toDevice(t, "1001", at("1002"), "m9", "<body>yes</body>", "yes")
	body := `{"from":"1001","to":"1002","id":"m9","status":"read","statusTime":1}`
	c.publish(t, "1002", "1001", body)
	c.h.wantMQTT(t, "1001", body) // the broker's own delivery
	c.h.want(t, "a marker", stage.WaitLimit, func(x event) bool {
		return x.side == "xmpp" && x.inbox == "1001" && x.st.Displayed == "m9" && x.st.From == at("1002")
	})
	body = `{"from":"1002","to":"1001","status":"typing","statusTime":1}`
	c.publish(t, "1002", "1001", body)
	c.h.wantMQTT(t, "1001", body)
	c.h.want(t, "it is writing", stage.WaitLimit, func(x event) bool {
		return x.side == "xmpp" && x.inbox == "1001" && x.st.Composing && x.st.From == at("1002")
	})
}

// toDevice sends a stanza and returns the envelope that the device gets. Its sender is told.
func (c *chat) toDevice(t *testing.T, from, to, id, inner, content string) (fields map[string]any) {
	t.Helper()
	if err := c.Person(from).X.Raw(fmt.Sprintf("<message to='%s' type='chat' id='%s'>%s</message>", to, id, inner)); err != nil {
		t.Fatal(err)
	}
	landline, _, _ := strings.Cut(to, "@")
	got := c.h.want(t, content+" in the inbox of "+landline, stage.WaitLimit, func(e event) bool {
		return e.side == "mqtt" && e.inbox == landline && e.env.From == from && e.env.Content == content && !e.env.Notice()
	})
	if err := json.Unmarshal([]byte(got.body), &fields); err != nil {
		t.Fatal(err)
	}
	c.h.wantNotice(t, from, "sent", content)
	return fields
}
