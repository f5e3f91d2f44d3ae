package xmppside

import (
	"strings"
	"testing"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// What Prosody writes may be far above what it has got: it names a namespace anew in each child. Such a message, in store
// and archive, does not keep the relay out.
func TestTooLargeInArchive(t *testing.T) {
	x := servers.NewProsody(t, archiving())
	alice := newPerson(t, x, "1001")
	c := testConfig(x)
	m := bridgetest.NewMemory(t)
	l := start(t, m, c).up(t)
	if err := alice.says(c.JID, "before"); err != nil {
		t.Fatal(err)
	}
	l.takes(t, 1)
	l.stop()
	alice.raw(t, "<message type='chat' to='"+c.JID+"' xmlns:x='urn:"+strings.Repeat("n", 300)+"'><body>hi</body>"+
		strings.Repeat("<x:b/>", 30_000)+"</message>")
	if err := alice.says(c.JID, "after"); err != nil {
		t.Fatal(err)
	}
	l = start(t, m, c).up(t)
	wantAll(t, m, l, []string{"before", "after"})
}
