package stage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// mostLogComplaints is how many lines of a bad log are shown.
const mostLogComplaints = 5

// checkLog reads every line of the relay's log strictly. JSON in which a key comes twice is read differently by each
// reader: the last level of a line may be another than the one that was meant.
func checkLog(file string) error {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it never ran
	}
	if err != nil {
		return err
	}
	var bad []error
	for n, line := range strings.Split(string(b), "\n") {
		if err := strictLine(line); err != nil && len(bad) < mostLogComplaints {
			bad = append(bad, fmt.Errorf("relay log, line %d: %w: %s", n+1, err, line))
		}
	}
	return errors.Join(bad...)
}

// strictLine wants one JSON object, or what the process says at its end.
func strictLine(line string) error {
	if line == "" || strings.HasPrefix(line, "chatrelay: ") {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBufferString(line)) // it refuses duplicate names
	v, err := d.ReadValue()
	switch {
	case err != nil:
		return err
	case v.Kind() != '{':
		return errors.New("no JSON object")
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// LogCount is how often the relay has logged a text, in all its processes.
func (r *Relay) LogCount(text string) int {
	b, err := os.ReadFile(r.log)
	if err != nil {
		r.t.Error(err)
	}
	return bytes.Count(b, []byte(text))
}
