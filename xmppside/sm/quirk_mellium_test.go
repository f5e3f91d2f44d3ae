package sm

import (
	"strings"
	"testing"
)

// Only what stands inside a stanza is read as another name, and each end tag with its start tag.
func TestStreamNames(t *testing.T) {
	const head = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	for in, want := range map[string]string{
		"<stream:features><bind/></stream:features><stream:error><a/></stream:error>": "",
		"<error xmlns='http://etherx.jabber.org/streams'/>":                           "",
		"<message id='http://etherx.jabber.org/streams'><streams:a/></message>":       "",
		"<message><body>xmlns='http://etherx.jabber.org/streams'</body></message>":    "",
		"<message><a xmlns='http://etherx.jabber.org/stream'/></message>":             "",
		"<message><stream:a><b/></stream:a></message>":                                "<message><stream_a><b/></stream_a></message>",
		"<iq><a><stream:stream/></a></iq>":                                            "<iq><a><stream_stream/></a></iq>",
		`<message><a id="1" xmlns="http://etherx.jabber.org/streams"/></message>`:     `<message><a id="1" xmlns="http://etherx.jabber.org/streamS"/></message>`,
		"<message><a xmlns:s = 'http://etherx.jabber.org/streams'/></message>":        "<message><a xmlns:s = 'http://etherx.jabber.org/streamS'/></message>",
		"<presence xmlns:s='http://etherx.jabber.org/streams'><s:a/></presence>":      "<presence xmlns:s='http://etherx.jabber.org/streamS'><s:a/></presence>",
		"<message><x/></message><message><stream:y></stream:y></message>":             "<message><x/></message><message><stream_y></stream_y></message>",
	} {
		var s scanner
		var n streamNames
		var got strings.Builder
		for _, b := range []byte(head + in) {
			b = n.read(&s, b)
			s.step(b)
			got.WriteByte(b)
		}
		if want == "" {
			want = in
		}
		if got.String() != head+want {
			t.Errorf("%s is read as %s", in, got.String()[len(head):])
		}
	}
}
