package mam

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

func TestQuery(t *testing.T) {
	q := query{start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), after: "<1>", max: 7}
	e := stanzatest.Parse(t, q.payload("id'"))
	fields := map[string]string{}
	for _, f := range e.Child(stanza.NSForms, "x").All(stanza.NSForms, "field") {
		fields[f.Get("var")] = f.Child(stanza.NSForms, "value").Text
	}
	want := map[string]string{"FORM_TYPE": stanza.NSMAM, "start": "2026-01-02T02:04:05Z"}
	set := e.Child(stanza.NSRSM, "set")
	if diff := cmp.Diff(want, fields); diff != "" || e.Get("queryid") != "id'" || set.Child(stanza.NSRSM, "after").Text != "<1>" ||
		set.Child(stanza.NSRSM, "max").Text != "7" || set.Child(stanza.NSRSM, "before") != nil {
		t.Errorf("%s %s", diff, q.payload("id"))
	}
}
