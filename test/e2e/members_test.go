package e2e

import (
	"context"
	"strings"
	"testing"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/stage"
)

// stranger is somebody with an account and a broker login who belongs to no group.
const stranger = "6666"

// TestStrangers: who is no member of a group has nobody speak there for him, and who may write to one inbox has the
// relay write no text of his into another.
func TestStrangers(t *testing.T) {
	for _, x := range stage.XMPPServers() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, stage.Plan{Start: x.Start})
			ctx, cancel := context.WithTimeout(t.Context(), 2*stage.WaitLimit)
			defer cancel()
			if err := c.XMPP.AddUser(stranger, "pw"); err != nil {
				t.Fatal(err)
			}
			by, err := clients.DialXMPP(ctx, clients.XMPPConfig{Addr: c.XMPP.Addr, Domain: c.XMPP.Domain, User: stranger, Password: "pw",
				OnStanza: func(s clients.Stanza) { c.h.HearXMPP(stranger, s) }})
			if err != nil {
				t.Fatal(err)
			}
			defer by.Close()
			pub, err := clients.DialMQTT(ctx, clients.MQTTConfig{Addr: c.MQTT.Addr, ClientID: "stray"})
			if err != nil {
				t.Fatal(err)
			}
			defer pub.Close()
			room := c.XMPP.Room("team")

			t.Run("by stanza", func(t *testing.T) {
				before := c.Relay.Status()
				if err := by.Send(c.Receiver(), "chat", "s1", stage.Grouped(stranger, room, "let me in").String()); err != nil {
					t.Fatal(err)
				}
				got := c.h.want(t, "an error", stage.WaitLimit, func(e event) bool { return e.inbox == stranger && e.st.Type == "error" && e.st.ID == "s1" }).st
				if got.Condition != "forbidden" || !strings.Contains(got.Text, "may not post") {
					t.Errorf("error %q: %q", got.Condition, got.Text)
				}
				c.Relay.WantRefused(t, before)
			})
			publish := func(t *testing.T, topic string, e stage.Envelope) {
				t.Helper()
				before := c.Relay.Status()
				if err := pub.Publish(ctx, stage.Inbox(topic), []byte(e.String()), 2); err != nil {
					t.Fatal(err)
				}
				c.Relay.WantRefused(t, before)
			}
			t.Run("by MQTT, in a member's name, on another's inbox", func(t *testing.T) {
				e := stage.Grouped("1001", room, "as you say")
				publish(t, stranger, e)
				c.h.wantKeyNotice(t, "1001", e)
			})
			t.Run("by MQTT, on a member's inbox", func(t *testing.T) {
				e := stage.Grouped(stranger, room, "as I say")
				publish(t, "1002", e)
				c.h.wantMQTT(t, "1002", e.String()) // the broker's own delivery
			})
			t.Run("a text for another inbox", func(t *testing.T) {
				e := stage.Direct("1002", stranger, "ANY TEXT")
				e.ChatType, e.Name, e.GroupName = 2, "ANY NAME", "ANY GROUP" // a group message without a group
				publish(t, stranger, e)
				c.h.wantKeyNotice(t, "1002", e)
			})
			t.Run("a good message has no text in its notice", func(t *testing.T) {
				e := stage.Direct("1002", stranger, "sent in a foreign name")
				if err := pub.Publish(ctx, stage.Inbox(stranger), []byte(e.String()), 2); err != nil {
					t.Fatal(err)
				}
				c.h.wantXMPP(t, stranger, e.String())
				c.h.want(t, "sent", stage.WaitLimit, func(ev event) bool {
					return ev.inbox == "1002" && ev.env.Status == "sent" && ev.env.ID == e.ID && ev.env.Content == "" && ev.env.Name == ""
				})
			})
			c.end(t)
		})
	}
}

// wantKeyNotice wants a failed notice about an MQTT message, without a word of what is in it.
func (h *ear) wantKeyNotice(t *testing.T, inbox string, about stage.Envelope) {
	t.Helper()
	got := h.want(t, "a failed notice for "+inbox, stage.WaitLimit, func(e event) bool {
		return e.side == "mqtt" && e.inbox == inbox && e.env.Status == "failed" && e.env.ID == about.ID
	})
	for _, text := range []string{`"content"`, `"name"`, `"groupName"`, `"contentType"`} {
		if strings.Contains(got.body, text) {
			t.Errorf("the notice holds %s: %s", text, got.body)
		}
	}
	if got.env.Reason == "" || got.env.From != inbox || got.env.TimeStamp != about.TimeStamp {
		t.Errorf("notice %s", got.body)
	}
}
