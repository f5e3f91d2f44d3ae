package stanza

import "errors"

// Error is an answer of type error.
type Error struct{ Kind, Condition, Text string }

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Condition
	}
	return e.Condition + ": " + e.Text
}

// ErrorOf reads the error in a stanza (RFC 6120 §8.3).
func ErrorOf(e *Element) *Error {
	out := &Error{Condition: "undefined-condition"}
	child := e.Child(NSClient, "error")
	if child == nil {
		return out
	}
	out.Kind = child.Get("type")
	for _, k := range child.Kids {
		switch {
		case k.Name.Space != NSStanzas:
		case k.Name.Local == "text":
			out.Text = k.Text
		default:
			out.Condition = k.Name.Local
		}
	}
	return out
}

// IsCondition tells whether an error was said with one of these words.
func IsCondition(err error, names ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range names {
		if e.Condition == n {
			return true
		}
	}
	return false
}

// IsAnswer tells whether an error was said by whom we asked.
func IsAnswer(err error) bool {
	_, ok := errors.AsType[*Error](err)
	return ok
}
