package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatrelay/test/stage"
)

// chat is a stage with an ear at every client.
type chat struct {
	*stage.Stage
	h *ear
}

func newChat(t *testing.T, p stage.Plan) *chat {
	t.Helper()
	return newForgivingChat(t, p, nil)
}

// newForgivingChat names what may be heard besides.
func newForgivingChat(t *testing.T, p stage.Plan, forgive func(event) bool) *chat {
	t.Helper()
	h := newEar()
	h.forgive = forgive
	p.Binary, p.Heard, p.Rooms = binary, h, true
	return &chat{Stage: stage.New(t, p), h: h}
}

// stanza sends a body to the relay's account.
func (c *chat) stanza(t *testing.T, from, body string) {
	t.Helper()
	if err := c.Person(from).X.Send(c.Receiver(), "chat", "", body); err != nil {
		t.Fatal(err)
	}
}

// publish puts a body into an inbox, as from's MQTT client.
func (c *chat) publish(t *testing.T, from, to, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stage.WaitLimit)
	defer cancel()
	if err := c.Person(from).M.Publish(ctx, stage.Inbox(to), []byte(body), 2); err != nil {
		t.Fatal(err)
	}
}

// end sends a last message each way, so that what was to follow has followed, and wants nothing left over.
func (c *chat) end(t *testing.T) {
	t.Helper()
	people := stage.Landlines()
	for i, from := range people {
		to := people[(i+1)%len(people)]
		x, m := stage.Direct(from, to, "last by xmpp "+from), stage.Direct(from, to, "last by mqtt "+from)
		c.stanza(t, from, x.String())
		c.h.wantMQTT(t, to, x.String())
		c.h.wantNotice(t, from, "sent", x.Content)
		c.publish(t, from, to, m.String())
		c.h.wantMQTT(t, to, m.String()) // the broker's own delivery
		c.h.wantXMPP(t, to, m.String())
		c.h.wantNotice(t, from, "sent", m.Content)
	}
	c.Relay.Balanced()
	c.h.wantNothing(t)
	c.Relay.Stop()
}

func TestMainJob(t *testing.T) {
	for _, x := range stage.XMPPServers() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, stage.Plan{Start: x.Start})
			t.Run("bytes", c.bytes)
			t.Run("groups", c.groups)
			t.Run("receipt", c.receipt)
			c.end(t)
		})
	}
}

// bytes: a body travels as it came, whatever is in it.
func (c *chat) bytes(t *testing.T) {
	for name, body := range map[string]string{
		"plain":          stage.Direct("1001", "1002", "hello").String(),
		"markup":         stage.Direct("1001", "1002", `<b>&amp;"'</b> ]]> €😀`).String(),
		"odd forms":      `{ "timeStamp" : "1700000000" ,"x":[1e400,{"y":null}],"to":1002,"from":"1001","content":"\u00e9\ud83d\ude00\u0000","chatType":1, "contentType":7 }`,
		"no identity":    `{"chatType":1,"content":"ok","from":"1001","to":"1002"}`,
		"foreign status": `{"chatType":1,"content":"s","from":"1001","to":"1002","timeStamp":5,"status":"busy"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if name != "no identity" { // that gets an id on the way
				c.stanza(t, "1001", body)
				c.h.wantMQTT(t, "1002", body)
				c.h.want(t, "sent", stage.WaitLimit, func(e event) bool { return e.inbox == "1001" && e.env.Status == "sent" })
				other := strings.Replace(body, `"from":"1001"`, `"from":"1003"`, 1)
				c.publish(t, "1003", "1002", other)
				c.h.wantMQTT(t, "1002", other)
				c.h.wantXMPP(t, "1002", other)
				c.h.want(t, "sent", stage.WaitLimit, func(e event) bool { return e.inbox == "1003" && e.env.Status == "sent" })
				return
			}
			for range 2 { // content is no identity: both are messages
				c.stanza(t, "1001", body)
				c.h.want(t, "the body with an id", stage.WaitLimit, func(e event) bool {
					return e.inbox == "1002" && e.env.Content == "ok" && strings.Contains(e.body, `"id":"cr-`)
				})
				c.h.wantNotice(t, "1001", "sent", "ok")
			}
		})
	}
	t.Run("not for XML", func(t *testing.T) {
		e := stage.Direct("1003", "1002", "a\uFFFEb\uFFFFc")
		c.publish(t, "1003", "1002", e.String())
		c.h.wantMQTT(t, "1002", e.String())
		c.h.wantXMPP(t, "1002", strings.NewReplacer("\uFFFE", `\ufffe`, "\uFFFF", `\uffff`).Replace(e.String()))
		c.h.wantNotice(t, "1003", "sent", e.Content)
	})
}

func (c *chat) groups(t *testing.T) {
	room := c.XMPP.Room("team")
	copies := func(t *testing.T, e stage.Envelope) {
		t.Helper()
		for _, name := range stage.Landlines() {
			if name != e.From {
				c.h.want(t, "a copy for "+name, stage.WaitLimit, func(got event) bool {
					return got.side == "mqtt" && got.inbox == name && got.env.Content == e.Content && got.env.To == name && got.env.GroupJID == room && !got.env.Notice()
				})
			}
		}
	}
	t.Run("by stanza", func(t *testing.T) {
		e := stage.Grouped("1001", room, "to all by stanza")
		c.stanza(t, "1001", e.String())
		copies(t, e)
		c.h.wantRoom(t, "chatrelay", e.String())
		c.h.wantNotice(t, "1001", "sent", e.Content)
	})
	t.Run("in the room", func(t *testing.T) {
		e := stage.Grouped("1002", room, "to all in the room")
		if err := c.Person("1002").X.Send(room, "groupchat", "g1", e.String()); err != nil {
			t.Fatal(err)
		}
		copies(t, e)
		c.h.wantRoom(t, "1002", e.String())
		c.h.wantNotice(t, "1002", "sent", e.Content)
	})
	t.Run("into inboxes", func(t *testing.T) {
		e := stage.Grouped("1003", room, "to all by MQTT")
		for _, to := range []string{"1001", "1002", "1004"} {
			c.publish(t, "1003", to, e.String())
			c.h.wantMQTT(t, to, e.String()) // the broker's own delivery
		}
		c.h.wantRoom(t, "chatrelay", e.String())
		c.h.wantNotice(t, "1003", "sent", e.Content)
	})
	t.Run("no envelope", func(t *testing.T) {
		before := c.Relay.Status()
		if err := c.Person("1002").X.Send(room, "groupchat", "", "good morning"); err != nil {
			t.Fatal(err)
		}
		c.h.wantRoom(t, "1002", "good morning")
		c.Relay.WantCount(before, "ignored", 1)
	})
}

// receipt: XEP-0184, after the message is settled.
func (c *chat) receipt(t *testing.T) {
	e := stage.Direct("1001", "1002", "with receipt")
	err := c.Person("1001").X.Raw(fmt.Sprintf("<message to='%s' type='chat' id='r1'><body>%s</body><request xmlns='urn:xmpp:receipts'/></message>", c.Receiver(), e))
	if err != nil {
		t.Fatal(err)
	}
	c.h.wantMQTT(t, "1002", e.String())
	c.h.wantNotice(t, "1001", "sent", e.Content)
	c.h.want(t, "a receipt for r1", stage.WaitLimit, func(e event) bool { return e.inbox == "1001" && e.st.Received == "r1" })
}

func TestRetryAndEcho(t *testing.T) {
	for _, x := range stage.XMPPServers() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, stage.Plan{Start: x.Start})
			t.Run("retry by stanza", func(t *testing.T) {
				e := stage.Direct("1001", "1002", "again by stanza")
				c.stanza(t, "1001", e.String())
				c.h.wantMQTT(t, "1002", e.String())
				for range 3 { // each retry is answered, none is delivered
					c.h.wantNotice(t, "1001", "sent", e.Content)
					before := c.Relay.Status()
					c.stanza(t, "1001", e.String())
					c.Relay.WantCount(before, "duplicate", 1)
				}
				c.h.wantNotice(t, "1001", "sent", e.Content)
			})
			t.Run("retry by MQTT", func(t *testing.T) {
				e := stage.Direct("1001", "1002", "again by MQTT")
				c.publish(t, "1001", "1002", e.String())
				c.h.wantXMPP(t, "1002", e.String())
				c.h.wantNotice(t, "1001", "sent", e.Content)
				before := c.Relay.Status()
				c.publish(t, "1001", "1002", e.String())
				c.Relay.WantCount(before, "duplicate", 1)
				c.h.wantNotice(t, "1001", "sent", e.Content)
				c.h.wantMQTT(t, "1002", e.String()) // the broker's own deliveries
				c.h.wantMQTT(t, "1002", e.String())
			})
			t.Run("echo is silence", func(t *testing.T) {
				e := stage.Direct("1001", "1002", "echo")
				c.stanza(t, "1001", e.String())
				c.h.wantMQTT(t, "1002", e.String())
				c.h.wantNotice(t, "1001", "sent", e.Content)
				before := c.Relay.Status()
				c.publish(t, "1003", "1002", e.String())
				c.h.wantMQTT(t, "1002", e.String()) // the broker's own delivery
				c.Relay.WantCount(before, "duplicate", 1)
			})
			t.Run("a forged twin swallows nothing", func(t *testing.T) {
				e := stage.Direct("1001", "1002", "twin")
				c.publish(t, "1003", "1002", e.String()) // 1003 speaks for 1001 on MQTT
				c.h.wantMQTT(t, "1002", e.String())
				c.h.wantXMPP(t, "1002", e.String())
				c.h.wantNotice(t, "1001", "sent", e.Content)
				c.stanza(t, "1001", e.String()) // and the true message comes after it
				c.h.wantMQTT(t, "1002", e.String())
				c.h.wantNotice(t, "1001", "sent", e.Content)
			})
			t.Run("a notice is not relayed", func(t *testing.T) {
				e := stage.Direct("1001", "1002", "own notice")
				e.Status, e.StatusTime = "sent", 1
				before := c.Relay.Status()
				c.publish(t, "1003", "1002", e.String())
				c.h.wantMQTT(t, "1002", e.String())
				c.stanza(t, "1001", e.String())
				c.Relay.WantCount(before, "ignored", 2)
			})
			t.Run("a bounce is told", func(t *testing.T) {
				e := stage.Direct("1001", "4999", "to nobody")
				c.publish(t, "1001", "4999", e.String())
				got := c.h.wantNotice(t, "1001", "failed", e.Content)
				if got.Reason == "" {
					t.Error("a failed notice without a reason")
				}
				c.h.take(func(ev event) bool { return ev.env.About() == e.Content && ev.env.Status == "sent" }) // the server had taken it
			})
			c.end(t)
		})
	}
}

// A message that waits is said to be delayed, once, and sent when it is.
func TestDelayed(t *testing.T) {
	t.Parallel()
	c := newChat(t, stage.Plan{Start: stage.XMPPServers()[0].Start})
	if err := c.XMPP.Stop(); err != nil {
		t.Fatal(err)
	}
	e := stage.Direct("1001", "1002", "waits")
	began := time.Now()
	c.publish(t, "1001", "1002", e.String())
	c.h.wantMQTT(t, "1002", e.String())
	c.h.wantNotice(t, "1001", "delayed", e.Content)
	if waited := time.Since(began); waited < 9*time.Second {
		t.Errorf("said to be delayed after %v", waited)
	}
	open, closed := regexp.MustCompile(`(?m)^chatrelay_window{side="mqtt"} [1-9]`), regexp.MustCompile(`(?m)^chatrelay_window{side="xmpp"} 0$`)
	lost := regexp.MustCompile(`(?m)^chatrelay_connections_lost_total\{reason="[a-z]+",side="xmpp"\} 1$`)
	if code, page, err := c.Relay.Get(t.Context(), "/metrics"); err != nil || code != 200 || !lost.MatchString(page) {
		t.Errorf("the lost connection is not counted: %d, %v, %s", code, err, regexp.MustCompile(`.*lost_total.*`).FindAllString(page, -1))
	} else if !open.MatchString(page) || !closed.MatchString(page) {
		t.Errorf("the windows, of which one is shut: %s", regexp.MustCompile(`chatrelay_window.*`).FindAllString(page, -1))
	}
	if err := c.XMPP.Start(); err != nil {
		t.Fatal(err)
	}
	c.h.wantNotice(t, "1001", "sent", e.Content)
	c.h.wantXMPP(t, "1002", e.String())
	c.back(t)
	c.end(t)
}

// back waits until everybody is logged in again and the relay is ready.
func (c *chat) back(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stage.WaitLimit)
	defer cancel()
	for _, p := range c.People {
		if err := p.X.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Relay.Ready(stage.WaitLimit); err != nil {
		t.Fatal(err)
	}
}
