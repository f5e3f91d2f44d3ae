package sm

import (
	"encoding/xml"
	"strings"
	"testing"

	"mellium.im/xmlstream"
)

// What only looks like a request, to mellium, is not answered by it, and does not end the stream over an address that is none.
func TestOddRequest(t *testing.T) {
	f, nc := newFake(t)
	c, err := connect(t, New(Config{}, State{}), nc, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	c.during = func(_ Handle, tr xmlstream.TokenReadEncoder, start *xml.StartElement) { Void(tr, start) }
	c.start()
	for _, iq := range []string{
		"<iq xmlns:a='x' a:type='get' a:id='1' a:from='@' type='result' id='2' from='1001@chat.test'/>",
		"<iq xmlns:a='x' a:from='@' a:id='1' type='get' id='2' from='1001@chat.test'/>",
		"<iq xmlns:a='x' type='result' a:type='set' id='2' a:from='@'/>",
	} {
		f.write(iq)
		c.take().Done()
	}
	f.write(inbound(1))
	c.take().Done()
	if got := strings.Join(f.until("h='4'"), ""); strings.Contains(got, "<iq") {
		t.Errorf("it answers %s", got)
	}
}
