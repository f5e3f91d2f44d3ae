package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"chatrelay/bridge"
)

var (
	errCheck    = errors.New("the relay could not run like this")
	errWarnings = errors.New("the relay runs like this, but look at the warnings")
)

// The severities of a step, as -json has them.
const (
	severityOK      = "ok"
	severityWarning = "warning"
	severityError   = "error"
)

func severityOf(s bridge.Step) string {
	switch {
	case s.OK:
		return severityOK
	case s.Fatal:
		return severityError
	}
	return severityWarning
}

// worst is the severity of all steps together.
func worst(steps []bridge.Step) string {
	out := severityOK
	for _, s := range steps {
		switch severityOf(s) {
		case severityError:
			return severityError
		case severityWarning:
			out = severityWarning
		}
	}
	return out
}

// report writes the steps, one a line or as one JSON document, and says by its error how bad they are.
func report(w io.Writer, steps []bridge.Step, asJSON bool) error {
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

func reportText(w io.Writer, steps []bridge.Step) error {
	for _, s := range steps {
		line := map[string]string{severityOK: "ok  ", severityWarning: "warn", severityError: "FAIL"}[severityOf(s)] + "  " + s.Name
		if text := s.Text(); text != "" {
			line += ": " + text
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func reportJSON(w io.Writer, steps []bridge.Step) error {
	type row struct {
		Name      string   `json:"name"`
		Severity  string   `json:"severity"`
		Note      string   `json:"note,omitempty"`
		Fix       string   `json:"fix,omitempty"`
		Variables []string `json:"variables,omitempty"`
	}
	doc := struct {
		Severity string `json:"severity"`
		Steps    []row  `json:"steps"`
	}{worst(steps), make([]row, len(steps))}
	for i, s := range steps {
		doc.Steps[i] = row{s.Name, severityOf(s), s.Note, s.Fix, nil}
		if !s.OK {
			doc.Steps[i].Variables = settingsIn(s)
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// settingsIn are the settings that lead to what is wrong.
func settingsIn(s bridge.Step) []string {
	out := regexp.MustCompile(`CHATRELAY_[A-Z0-9_]*[A-Z0-9]`).FindAllString(s.Name+" "+s.Text(), -1)
	slices.Sort(out)
	return slices.Compact(out)
}
