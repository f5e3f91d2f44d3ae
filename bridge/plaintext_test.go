package bridge

import (
	"strings"
	"testing"

	"chatrelay/message"
)

// A person who writes to the relay's account is told what to do; a program that writes a bad envelope, what is wrong with it.
func TestPlainText(t *testing.T) {
	stranger := with(xmppIn([]byte("hello")), func(in *Inbound) { in.From = "" })
	for _, tt := range []struct {
		name string
		side SideID
		in   Inbound
		want string
	}{
		{"text", XMPP, xmppIn([]byte("hello")), PlainText},
		{"of somebody unknown", XMPP, stranger, PlainText},
		{"a number", XMPP, xmppIn([]byte(" 5")), PlainText},
		{"brackets", XMPP, xmppIn([]byte("[1]")), PlainText},
		{"nothing", XMPP, xmppIn(nil), PlainText},
		{"an envelope that is cut off", XMPP, xmppIn([]byte(` {"from":"1001"`)), message.NotJSON},
		{"text on MQTT, where programs write", MQTT, mqttIn([]byte("hello")), message.NotJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, why := newJudge(tt.side, newClock().now).record(&tt.in)
			if why == nil || why.Reason != tt.want || rec.Reason != tt.want {
				t.Fatalf("refused with %v, want %s", why, tt.want)
			}
			if strings.Contains(why.Text, "valid JSON") == (tt.want == PlainText) {
				t.Errorf("said %q", why.Text)
			}
		})
	}
}
