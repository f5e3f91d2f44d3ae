package stanza_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":       "",
		`"a'b"`:  `"a'b"`,
		"<&>\r":  "&lt;&amp;&gt;&#13;",
		"a\tb\n": "a\tb\n",
		"]]>":    "]]&gt;",
	} {
		if got := string(stanza.AppendText(nil, []byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	all := "<a x='1'>&\"'\r\n\t"
	e := stanzatest.Parse(t, string(append(append(stanza.AppendAttr([]byte("<m"), "x", all), '>'), "</m>"...)))
	if got := e.Get("x"); got != all {
		t.Errorf("attribute %q came as %q", all, got)
	}
}

func TestLegal(t *testing.T) {
	for _, good := range []string{"", "a", "\t\r\n", "é😀\u0085\ufdd0\U0001fffe\U0010ffff"} {
		if !stanza.Legal([]byte(good)) {
			t.Errorf("%q is legal", good)
		}
	}
	for _, bad := range []string{"\x00", "\x01", "\x0b", "\x1f", "\ufffe", "a\uffff", "\xed\xa0\x80", "\xff", "\xc3"} {
		if stanza.Legal([]byte(bad)) {
			t.Errorf("%q is illegal", bad)
		}
	}
	if got := stanza.LegalOnly("a\x00b\ufffec"); got != "abc" {
		t.Errorf("got %q", got)
	}
}

func TestReadElement(t *testing.T) {
	e := stanzatest.Parse(t, "<message a='1' xmlns:p='urn:p' p:a='2'>x<b xmlns='urn:b'>y<c/>z</b><b>w</b>v</message>")
	if e.Get("a") != "1" || e.Text != "xv" || e.Child("urn:b", "b").Text != "yz" || e.Child(stanza.NSClient, "b").Text != "w" ||
		e.Only(stanza.NSClient, "b") == nil || e.Child("urn:b", "b").Child("urn:b", "c") == nil {
		t.Errorf("got %+v", e)
	}
	deep := stanzatest.Parse(t, "<message>"+strings.Repeat("<a>", 300)+strings.Repeat("</a>", 300)+"<body>x</body></message>")
	if deep.Child(stanza.NSClient, "body").Text != "x" {
		t.Error("what stands behind deep nesting is lost")
	}
	d := xml.NewDecoder(strings.NewReader("<message><body>x"))
	tok, _ := d.Token()
	start := tok.(xml.StartElement)
	if _, err := stanza.Read(d, &start); !errors.Is(err, stanza.ErrCut) {
		t.Errorf("a cut stanza: %v", err)
	}
}

// What a component's server says is read as what a client's says; in a client's stream the component's namespace means nothing.
func TestComponentNamespace(t *testing.T) {
	const body = "<body xmlns='jabber:component:accept'>x</body>"
	for text, want := range map[string]bool{
		"<message xmlns='jabber:component:accept'>" + body + "</message>":                 true,
		"<message xmlns='jabber:client'>" + body + "</message>":                           false,
		"<message xmlns='jabber:client'><body>x</body></message>":                         true,
		"<message xmlns='jabber:component:accept'><body xmlns='other'>x</body></message>": false,
	} {
		d := xml.NewDecoder(strings.NewReader(text))
		start, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		root := start.(xml.StartElement)
		e, err := stanza.Read(d, &root)
		if err != nil || e.Name.Space != stanza.NSClient || (e.Child(stanza.NSClient, "body") != nil) != want {
			t.Errorf("%s: got %+v, %v", text, e, err)
		}
	}
}

// Servers take letters of both cases for the same; the relay compares bytes.
func TestAddressesAreFolded(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "anna@chat.test/Phone": "anna@chat.test/Phone", "ANNA@Chat.test/Phone": "anna@chat.test/Phone", "RELAY.chat.test": "relay.chat.test",
		"Stra\u00dfe@chat.test": "stra\u00dfe@chat.test", "\u00c4@chat.test": "\u00c4@chat.test", "DES\u212a@chat.test": "des\u212a@chat.test", "@/A": "@/A", "A/B@C": "a/B@C",
	} {
		if got := stanza.Folded(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	e := stanzatest.Parse(t, "<presence to='Receiver@CHAT.test/A' from='Room@chat.test/Ann' id='A' xmlns:x='urn:x' x:from='A'><x><item jid='ANNA@chat.test/B' nick='C'/></x></presence>")
	item := e.Kids[0].Kids[0]
	got := []string{e.Get("to"), e.Get("from"), e.Get("id"), item.Get("jid"), item.Get("nick")}
	if diff := cmp.Diff([]string{"receiver@chat.test/A", "room@chat.test/Ann", "A", "anna@chat.test/B", "C"}, got); diff != "" {
		t.Error(diff)
	}
}
