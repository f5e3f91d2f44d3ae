package journal

import (
	"testing"

	"chatrelay/bridge"
)

func TestWholeWay(t *testing.T) {
	for name, dir := range map[string]string{"memory": "memory", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			b := openTest(t, options(dir))
			b.want(direct(bridge.XMPP, "1001", "1002", "hello"), bridge.OutcomeTaken)
			o := b.next(bridge.MQTT)
			if o.Kind != bridge.KindInbox || o.From != "1001" || o.To != "1002" || string(o.Body) != "hello" {
				t.Fatalf("got %+v", o)
			}
			b.bind(o.Ref, "packet 1")
			b.nothing(bridge.MQTT)
			b.settle(o.Ref)
			b.wantNotice("1001", "hello|sent|")
			b.nothing(bridge.MQTT)
			b.wantCount(received, bridge.XMPP, "", 1)
			b.wantCount(delivered, bridge.XMPP, "", 1)
			b.sum()
		})
	}
}
