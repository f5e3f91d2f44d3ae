package stanza_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

const scanHeader = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

func newScan() *stanza.Scanner { return stanza.NewScanner(stanzatest.OwnJID) }

// decode reads the stanza at the start of text as mellium and Read do, and says how long it is.
func decode(text string) (*stanza.Element, int, error) {
	d := xml.NewDecoder(strings.NewReader(scanHeader + text))
	if _, err := d.Token(); err != nil {
		return nil, 0, err
	}
	tok, err := d.Token()
	if err != nil {
		return nil, 0, err
	}
	start, ok := tok.(xml.StartElement)
	if !ok {
		return nil, 0, fmt.Errorf("a %T", tok)
	}
	for i, a := range start.Attr { // mellium.im/xmpp, handleInputStream
		if a.Name.Local == "from" {
			if a.Value == stanzatest.OwnJID {
				start.Attr[i].Value = ""
			}
			break
		}
	}
	e, err := stanza.Read(strict{d}, &start)
	return e, int(d.InputOffset()) - len(scanHeader), err
}

// strict ends the stream as mellium does.
type strict struct{ *xml.Decoder }

func (s strict) Token() (xml.Token, error) {
	tok, err := s.Decoder.Token()
	switch tok.(type) {
	case xml.Comment, xml.ProcInst, xml.Directive:
		return nil, errors.New("disallowed")
	}
	return tok, err
}

func TestScan(t *testing.T) {
	for name, text := range stanzatest.Plain {
		t.Run(name, func(t *testing.T) {
			if _, n := newScan().Scan([]byte(text)); n != len(text) {
				t.Errorf("got %d, want all %d bytes", n, len(text))
			}
			same(t, text+"<r/>")
			for n := range len(text) {
				if _, got := newScan().Scan([]byte(text[:n])); got != stanza.NotWhole {
					t.Errorf("%q: got %d", text[:n], got)
				}
			}
		})
	}
	for name, text := range stanzatest.Other {
		t.Run(name, func(t *testing.T) {
			if e, n := newScan().Scan([]byte(text)); n != 0 {
				t.Errorf("got %d, %+v", n, e)
			}
		})
	}
}

// same wants from the scan what the decoder reads, or nothing; and nothing of its own kept.
func same(t *testing.T, text string) {
	t.Helper()
	raw := []byte(text)
	got, n := newScan().Scan(raw)
	if n <= 0 {
		if got != nil {
			t.Errorf("%q: %d, and an element", text, n)
		}
		return
	}
	clear(raw) // the buffer is used again
	want, whole, err := decode(text)
	if err != nil || n != whole {
		t.Fatalf("%q: the scan takes %d bytes; the decoder %d (%v)", text, n, whole, err)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(stanza.Element{}), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%q (-decoder +scan): %s", text, d)
	}
}

// FuzzScan holds the scan to the decoder: whatever it takes is the same element, attribute by attribute, and ends at the same byte.
// So it has the same sender, the same body and the same verdict. What it calls not whole is no whole stanza to the decoder either,
// unless that is one which it would leave.
func FuzzScan(f *testing.F) {
	for _, m := range []map[string]string{stanzatest.Plain, stanzatest.Other} {
		for _, text := range m {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		same(t, text)
		if _, n := newScan().Scan([]byte(text)); n != stanza.NotWhole || len(text) == 0 {
			return
		}
		if _, whole, err := decode(text); err == nil && whole <= len(text) && utf8.ValidString(text) {
			if _, n := newScan().Scan([]byte(text[:whole])); n > 0 {
				t.Errorf("%q: not whole, though its first %d bytes are taken", text, whole)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	body := "{\"chatType\":1,\"content\":\"bench &amp; \\\"quoted\\\" €😀 and some more words, so that it is about as long as people write\"," +
		"\"from\":\"1001\",\"to\":\"1005\",\"contentType\":0,\"groupJid\":\"\",\"groupName\":\"\",\"timeStamp\":1790000000000,\"name\":\"Somebody\",\"photo\":\"https://example.org/p.png\"}"
	text := "<message type='chat' from='1001@chat.test/aBc-12' id='7' xml:lang='en' to='receiver@chat.test'><body>" +
		strings.ReplaceAll(body, "\"", "&quot;") + "</body><stanza-id xmlns='urn:xmpp:sid:0' by='receiver@chat.test' id='JqUVnB9dEKbeFZ1Q'/></message>"
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		p, raw := newScan(), []byte(text)
		for b.Loop() {
			if _, n := p.Scan(raw); n != len(raw) {
				b.Fatal("not taken")
			}
		}
	})
	b.Run("decoder", func(b *testing.B) {
		b.ReportAllocs()
		d := xml.NewDecoder(&forever{text: text})
		if _, err := d.Token(); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			tok, err := d.Token()
			if err != nil {
				b.Fatal(err)
			}
			start := tok.(xml.StartElement)
			if _, err := stanza.Read(d, &start); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// forever is a stream of one stanza again and again.
type forever struct {
	text string
	at   int
	on   bool
}

func (f *forever) Read(p []byte) (int, error) { return 0, errors.New("not used") }

func (f *forever) ReadByte() (byte, error) {
	now := f.text
	if !f.on {
		now = scanHeader
	}
	b := now[f.at]
	if f.at++; f.at == len(now) {
		f.at, f.on = 0, true
	}
	return b, nil
}
