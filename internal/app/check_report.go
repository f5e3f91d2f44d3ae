package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

var (
	errCheck    = errors.New("the relay could not run like this")
	errWarnings = errors.New("the relay runs like this, but look at the warnings")
)

// step is one thing that was tried.
type step struct {
	name  string
	ok    bool
	fatal bool   // the relay cannot run without it
	note  string // when ok: what was found; else what is wrong and how to mend it
}

// The severities of a step, as -json has them.
const (
	severityOK      = "ok"
	severityWarning = "warning"
	severityError   = "error"
)

func (s *step) severity() string {
	switch {
	case s.ok:
		return severityOK
	case s.fatal:
		return severityError
	}
	return severityWarning
}

// worst is the severity of all steps together.
func worst(steps []step) string {
	out := severityOK
	for _, s := range steps {
		switch s.severity() {
		case severityError:
			return severityError
		case severityWarning:
			out = severityWarning
		}
	}
	return out
}

// report writes the steps, one a line or as one JSON document, and says by its error how bad they are.
func report(w io.Writer, steps []step, asJSON bool) error {
	write := reportText
	if asJSON {
		write = reportJSON
	}
	if err := write(w, steps); err != nil {
		return err
	}
	switch worst(steps) {
	case severityError:
		return errCheck
	case severityWarning:
		return errWarnings
	}
	return nil
}

func reportText(w io.Writer, steps []step) error {
	for _, s := range steps {
		line := map[string]string{severityOK: "ok  ", severityWarning: "warn", severityError: "FAIL"}[s.severity()] + "  " + s.name
		if s.note != "" {
			line += ": " + s.note
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func reportJSON(w io.Writer, steps []step) error {
	type row struct {
		Name     string `json:"name"`
		Severity string `json:"severity"`
		Note     string `json:"note,omitempty"`
	}
	doc := struct {
		Severity string `json:"severity"`
		Steps    []row  `json:"steps"`
	}{worst(steps), make([]row, len(steps))}
	for i, s := range steps {
		doc.Steps[i] = row{s.name, s.severity(), s.note}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}
