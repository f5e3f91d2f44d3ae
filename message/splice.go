package message

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// WithID splices an id into a body that Parse accepted; all other bytes stay.
func WithID(body []byte, id string) []byte {
	return splice(body, change{"id", quote(id)})
}

// WithTo sets "to" in a body that Parse accepted; all other bytes stay. A body that has this to already, in
// whatever form, is returned as it is.
func WithTo(body []byte, to string) []byte {
	var k known
	if why := k.read(body); why != nil {
		return body
	}
	if now, ok := party(k.raw[fTo]); ok && string(now) == to {
		return body
	}
	return splice(body, change{"to", quote(to)})
}

// change is one field and the raw JSON value that it gets.
type change struct {
	name  string
	value []byte
}

// edit puts a change's value in the place of body[start:end].
type edit struct{ change, start, end int }

// splice returns a copy of body with the changes made: the value of a field that is there is replaced, others are
// added behind the last one. A body that is no sound object is returned as it is.
func splice(body []byte, changes ...change) []byte {
	r := new(reader)
	if why := r.open(body); why != nil {
		return body
	}
	var m member
	var edits []edit                 // in the order of the body
	last := int(r.dec.InputOffset()) // end of the last member, or of the opening brace
	empty := true
	for {
		more, why := r.next(&m)
		if why != nil {
			return body
		}
		if !more {
			break
		}
		empty, last = false, m.end
		for i := range changes {
			if changes[i].name == string(m.name) {
				edits = addEdit(edits, edit{i, m.start, m.end})
			}
		}
	}
	return apply(body, last, empty, edits, changes)
}

// addEdit keeps two edits of a field, the first and the newest. Readers differ in whether they take the first or
// the last of two fields of one name; none takes what is between. Were all of them replaced, a body full of
// `"reason":0` would grow by the length of the reason each time.
func addEdit(edits []edit, e edit) []edit {
	same := 0
	for i := range edits {
		if edits[i].change != e.change {
			continue
		}
		if same++; same == 2 {
			edits = slices.Delete(edits, i, i+1)
			break
		}
	}
	return append(edits, e)
}

func apply(body []byte, last int, empty bool, edits []edit, changes []change) []byte {
	out := make([]byte, 0, len(body)+room(changes))
	copied := 0
	for _, e := range edits {
		out = append(append(out, body[copied:e.start]...), changes[e.change].value...)
		copied = e.end
	}
	out = append(out, body[copied:last]...)
	for i, c := range changes {
		if !slices.ContainsFunc(edits, func(e edit) bool { return e.change == i }) {
			out = appendMember(out, c, empty)
			empty = false
		}
	}
	return append(out, body[last:]...)
}

func appendMember(out []byte, c change, first bool) []byte {
	if !first {
		out = append(out, ',')
	}
	out = append(append(append(out, '"'), c.name...), '"', ':')
	return append(out, c.value...)
}

func room(changes []change) int {
	n := 0
	for _, c := range changes {
		n += len(c.name) + len(c.value) + len(`,"":`)
	}
	return n
}

// quote makes a JSON string of a text of the relay's own. It may quote a server's words: what is not UTF-8 in
// them is marked.
func quote(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "?"))
	return b
}
