package sm

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScanner(t *testing.T) {
	root := "<?xml version='1.0'?><stream:stream a='>' b=\"'/>\">"
	cases := []struct {
		name, in string
		want     []string
	}{
		{"empty element", "<r/>", []string{"+r", "-r"}},
		{"attributes with angle brackets", "<a h='</a>' x=\">/\"/>", []string{"+a", "-a"}},
		{"slash in an attribute is no end", "<message to='a/'>x</message>", []string{"+message", "-message"}},
		{"slash before an attribute is no end", "<message / to='a'>x</message>", []string{"+message", "-message"}},
		{"children are silent", "<message><message/><body>x</body></message>", []string{"+message", "-message"}},
		{"white space in tags", "<iq\n\ttype='get'\n></iq >", []string{"+iq", "-iq"}},
		{"CDATA", "<message><body><![CDATA[</message>]]]></body></message><r/>", []string{"+message", "-message", "+r", "-r"}},
		{"comment", "<message><!-- </message> -> --></message><r/>", []string{"+message", "-message", "+r", "-r"}},
		{"short comment", "<!----><r/>", []string{"+r", "-r"}},
		{"instruction", "<?x </message> > ?><r/>", []string{"+r", "-r"}},
		{"directive", "<!DOCTYPE x><r/>", []string{"+r", "-r"}},
		{"end of the stream", "<r/></stream:stream>", []string{"+r", "-r", "end"}},
		{"half a name", "<mess", nil},
		{"half an element", "<message><body>x</bo", []string{"+message"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var s scanner
			var got []string
			for _, b := range []byte(root + c.in) {
				switch s.step(b) {
				case started:
					got = append(got, "+"+string(s.name))
				case closed:
					got = append(got, "-"+string(s.name))
				case streamEnd:
					got = append(got, "end")
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestScannerStanzas(t *testing.T) {
	for name, want := range map[string]bool{"message": true, "iq": true, "presence": true, "r": false, "a": false,
		"stream:error": false, "stream:features": false, "messages": false, "iq2": false} {
		var s scanner
		for _, b := range []byte("<stream:stream><" + name + " x='y'") {
			s.step(b)
		}
		if got := s.isStanza(); got != want {
			t.Errorf("isStanza(%s) = %v", name, got)
		}
	}
}

func TestStreamError(t *testing.T) {
	cases := []struct{ name, raw, condition, text string }{
		{"plain", "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", "conflict", ""},
		{"with text", "<not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>bad</text>", "not-well-formed", "bad"},
		// mellium's own decoder fails on this one.
		{"with a child of the server's own", "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>big</text><stanza-too-big xmlns='urn:xmpp:errors'/>", "policy-violation", "big"},
		{"child first", "<x xmlns='y'/><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", "conflict", ""},
		{"nothing", "", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			condition, text := streamError(fmt.Appendf(nil, "<stream:error>%s</stream:error>", c.raw))
			if condition != c.condition || text != c.text {
				t.Errorf("got %q, %q", condition, text)
			}
		})
	}
}
