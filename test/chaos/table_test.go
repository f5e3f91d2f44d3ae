package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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

// Where the tables stand: of the last run, and, of a run of all rows at full length, the one for readers and its excerpt.
const (
	lastRun    = "../../out/chaos.md"
	document   = "../../docs/FAULTS.md"
	readme     = "../../README.md"
	chinese    = "../../README.zh-CN.md"
	tableBegin = "<!-- chaos:begin -->\n"
	tableEnd   = "<!-- chaos:end -->"
)

// excerpted are the rows that README shows.
func excerpted() [][2]string {
	return [][2]string{
		{"relay SIGKILL at random times", "prosody"}, {"TCP cuts, TLS, 1,000/s", "prosody"}, {"broker SIGKILL", "prosody"},
		{"XMPP server SIGKILL, archive", "ejabberd"}, {"disk full", "ejabberd"},
	}
}

// table is all rows in Markdown.
func (r *results) table() string {
	var b strings.Builder
	b.WriteString(tableHead)
	for _, row := range r.rows {
		b.WriteString(row.String() + "\n")
	}
	return b.String()
}

// write makes the table's file; with no row nothing is written. A run of everything also writes the documents.
func (r *results) write() error {
	if len(r.rows) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(lastRun), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(lastRun, []byte(r.table()), 0o644); err != nil {
		return err
	}
	if !full || mqtt != "" || len(r.rows) != len(faults())*len(stage.XMPPServers()) {
		return nil
	}
	if err := between(document, r.table()); err != nil {
		return err
	}
	return errors.Join(between(readme, excerpt(r.table())), between(chinese, excerpt(r.table())))
}

// between puts text between the marks of a file.
func between(file, text string) error {
	head, _, tail, err := parts(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(head+tableBegin+text+tableEnd+tail), 0o644)
}

// parts is what stands before, between and behind the marks of a file.
func parts(file string) (head, table, tail string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", "", "", err
	}
	head, rest, ok1 := strings.Cut(string(b), tableBegin)
	table, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		return "", "", "", fmt.Errorf("%s lacks %s … %s", file, strings.TrimSpace(tableBegin), tableEnd)
	}
	return head, table, tail, nil
}

// excerpt is README's table, made from the whole one.
func excerpt(table string) string {
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		if i < 2 || slices.Contains(excerpted(), [2]string{cells[0], cells[1]}) {
			fmt.Fprintf(&b, "| %s |\n", strings.Join([]string{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[7]}, " | "))
		}
	}
	return b.String()
}

// TestDocuments: README's excerpt is of the table in docs/FAULTS.md, which has the columns of today.
func TestDocuments(t *testing.T) {
	_, table, _, err := parts(document)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(table, tableHead) {
		t.Errorf("%s has other columns than make chaos prints", document)
	}
	for _, file := range []string{readme, chinese} {
		_, short, _, err := parts(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := excerpt(table); short != want || strings.Count(want, "\n") != 2+len(excerpted()) {
			t.Errorf("%s shows\n%s\nwant, from %s,\n%s", file, short, document, want)
		}
	}
	for _, x := range excerpted() {
		if !slices.ContainsFunc(faults(), func(f fault) bool { return f.name == x[0] }) {
			t.Errorf("there is no row %s", x[0])
		}
	}
}
