package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chatrelay/test/stage"
)

// result is what one row found.
type result struct {
	fault, server, settings string
	counts                  stage.Counts
	maybe                   int64         // what the relay counted as maybe_duplicate
	slowest                 time.Duration // until what was sent after the healing came
	flow                    time.Duration // until anything came
	recovered               bool          // something came after each healing
	keeps                   bool
	ok                      bool
	notes                   []string
}

// results is the table.
type results struct{ rows []result }

func (r *results) add(row result) { r.rows = append(r.rows, row) }

const tableHead = `| fault | XMPP server | acknowledged | lost | duplicated | out of order | phantom | recovery | kept by the servers | |
| --- | --- | --: | --: | --: | --: | --: | --: | --- | --- |
`

func (r result) String() string {
	recovery := "-"
	if r.recovered {
		recovery = fmt.Sprintf("%.2f s (flow %.2f s)", r.slowest.Seconds(), r.flow.Seconds())
	}
	keeps := "yes"
	if !r.keeps {
		keeps = "no"
	}
	notes := r.notes
	if !r.ok {
		notes = append([]string{"**failed**"}, notes...)
	}
	dup := fmt.Sprint(r.counts.DupM + r.counts.DupX)
	if r.maybe > 0 {
		dup += fmt.Sprintf(" (maybe %d)", r.maybe)
	}
	if r.settings != "" {
		keeps += ": " + r.settings
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %s | %d | %d | %s | %s | %s |", r.fault, r.server, r.counts.Acked,
		r.counts.LostM+r.counts.LostX, dup, r.counts.DisorderM+r.counts.DisorderX, r.counts.Phantom, recovery, keeps, strings.Join(notes, "; "))
}

// write makes the table's file; with no row nothing is written.
func (r *results) write(file string) error {
	if len(r.rows) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString(tableHead)
	for _, row := range r.rows {
		b.WriteString(row.String() + "\n")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
