package readme

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// translations are the Chinese documents by what they translate.
func translations(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/zh/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	out := map[string]string{readme: "../../README.zh-CN.md"}
	for _, file := range files {
		out[filepath.Join("../../docs", filepath.Base(file))] = file
	}
	return out
}

// TestTranslations: each Chinese document says as much as the English one. Section by section it has the same tables (rows,
// and what is code in each cell), blocks of code (their comments apart), names, links and figures.
func TestTranslations(t *testing.T) {
	pairs := translations(t)
	for english, chinese := range pairs {
		t.Run(filepath.Base(chinese), func(t *testing.T) {
			for _, problem := range compare(read(t, english, pairs), read(t, chinese, pairs)) {
				t.Errorf("%s is not in step with %s. %s", chinese, english, problem)
			}
		})
	}
}

// TestTranslationProblems: what is missing or has changed is named, with its section.
func TestTranslationProblems(t *testing.T) {
	const english = "# One\nTake `A` of [two](b.md), 30 s.\n## Two\n| a | b |\n|---|---|\n| `x` | up to 5 |\n| `y` | none |\n```sh\nrun it # now\n```\n"
	pairs := map[string]string{"d/a.md": "d/zh/a.md", "d/b.md": "d/zh/b.md"}
	chinese := strings.NewReplacer("One", "一", "Two", "二", "none", "无", "# now", "# 现在").Replace(english)
	for name, c := range map[string]struct{ old, new, want string }{
		"in step":            {"", "", ""},
		"a row is missing":   {"| `y` | 无 |\n", "", `section 2 "## Two": "| \x60y\x60 | none |": has no row for it`},
		"a row too many":     {"```sh", "| `z` | 1 |\n```sh", `section 2 "## Two": "| \x60z\x60 | 1 |": is no row of the original`},
		"another setting":    {"`y`", "`z`", `section 2 "## Two": "| \x60y\x60 | none |": cell 1: "y" is missing`},
		"an old figure":      {"up to 5", "up to 4", `section 2 "## Two": "| \x60x\x60 | up to 5 |": cell 2: figure 5 is missing`},
		"a figure in prose":  {"30 s", "40 s", `section 1 "# One": figure 30 is missing`},
		"a name in prose":    {"`A`", "A", `section 1 "# One": "A" is missing`},
		"another link":       {"](b.md)", "](c.md)", `section 1 "# One": link to d/b.md is missing`},
		"the English page":   {"](b.md)", "](../b.md)", `section 1 "# One": links to d/b.md, though d/zh/b.md is there`},
		"another command":    {"run it", "run", `section 2 "## Two": code block 1: "run it" is missing`},
		"a section too many": {"## 二", "## 二\n## 三", "sections: 3, want 2"},
		"another level":      {"## 二", "### 二", `section 2 "## Two": level 3, want 2`},
	} {
		text := strings.Replace(chinese, c.old, c.new, 1)
		got := strings.Join(compare(sections("d/a.md", english, pairs), sections("d/zh/a.md", text, pairs)), "\n")
		if want := strings.ReplaceAll(c.want, `\x60`, "`"); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// part is what a translation keeps of a section.
type part struct {
	heading string
	level   int
	prose   piece
	rows    []row
	blocks  []string
	own     []string // links to English pages that have a translation
}

type row struct {
	line  string
	cells []piece
}

// piece is what a translation keeps of some text, and how often it is there.
type piece struct{ names, links, figures map[string]int }

func read(t *testing.T, file string, pairs map[string]string) []part {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sections(file, string(b), pairs)
}

// sections takes a document apart at its headings.
func sections(file, text string, pairs map[string]string) (out []part) {
	var prose, block []string
	var fenced bool
	end := func() {
		if len(out) > 0 {
			out[len(out)-1].prose = pieceOf(file, strings.Join(prose, " "), pairs)
		}
		prose = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			if fenced = !fenced; !fenced {
				out[len(out)-1].blocks = append(out[len(out)-1].blocks, strings.Join(block, "\n"))
			}
			block = nil
		case fenced:
			block = append(block, strings.TrimSpace(comment.ReplaceAllString(line, "")))
		case strings.HasPrefix(line, "#"):
			end()
			prose = []string{line}
			out = append(out, part{heading: line, level: len(line) - len(strings.TrimLeft(line, "#"))})
		case strings.HasPrefix(line, "|"):
			out[len(out)-1].rows = append(out[len(out)-1].rows, rowOf(file, line, pairs))
		default:
			prose = append(prose, line)
		}
		if len(out) > 0 && slices.Contains(slices.Collect(maps.Values(pairs)), file) {
			out[len(out)-1].own = append(out[len(out)-1].own, untranslated(file, line, pairs)...)
		}
	}
	end()
	return out
}

// comment is one at the end of a line of a shell script, a configuration or Lua.
var comment = regexp.MustCompile(`(^|\s+)(#|--) .*$`)

func rowOf(file, line string, pairs map[string]string) row {
	r := row{line: line}
	for _, cell := range strings.Split(strings.Trim(line, "| "), "|") {
		r.cells = append(r.cells, pieceOf(file, cell, pairs))
	}
	return r
}

var (
	inCode = regexp.MustCompile("`([^`]+)`")
	linked = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	figure = regexp.MustCompile(`\d+(?:[,.:]\d+)*`)
)

func pieceOf(file, text string, pairs map[string]string) piece {
	p := piece{map[string]int{}, map[string]int{}, map[string]int{}}
	for _, m := range linked.FindAllStringSubmatch(text, -1) {
		p.links[target(file, m[1], pairs)]++
	}
	text = linked.ReplaceAllString(text, "]")
	for _, m := range inCode.FindAllStringSubmatch(text, -1) {
		p.names[m[1]]++
	}
	for _, m := range figure.FindAllString(inCode.ReplaceAllString(text, ""), -1) {
		p.figures[m]++
	}
	return p
}

// target is what a link leads to, the same for a page and its translation. A heading is known in pages without one only.
func target(file, link string, pairs map[string]string) string {
	if strings.Contains(link, "://") {
		return link
	}
	path, anchor, _ := strings.Cut(link, "#")
	path = filepath.Join(filepath.Dir(file), path)
	for english, chinese := range pairs {
		if path == english || path == chinese {
			return english
		}
	}
	return strings.TrimSuffix(path+"#"+anchor, "#")
}

// untranslated are links of a Chinese page that lead to an English one though there is a Chinese one. The one to its own
// original does so by right.
func untranslated(file, line string, pairs map[string]string) (out []string) {
	for _, m := range linked.FindAllStringSubmatch(line, -1) {
		path, _, _ := strings.Cut(m[1], "#")
		path = filepath.Join(filepath.Dir(file), path)
		if chinese, ok := pairs[path]; ok && chinese != file {
			out = append(out, fmt.Sprintf("links to %s, though %s is there", path, chinese))
		}
	}
	return out
}

// compare says what keeps a translation from saying what the original says.
func compare(english, chinese []part) (out []string) {
	if len(english) != len(chinese) {
		out = append(out, fmt.Sprintf("sections: %d, want %d", len(chinese), len(english)))
	}
	for i := range min(len(english), len(chinese)) {
		e, c := english[i], chinese[i]
		place := fmt.Sprintf("section %d %q", i+1, e.heading)
		if e.level != c.level {
			return append(out, fmt.Sprintf("%s: level %d, want %d", place, c.level, e.level))
		}
		problems := append(append(e.prose.missing(c.prose), c.own...), blocksMissing(e.blocks, c.blocks)...)
		for _, problem := range append(problems, rowsMissing(e.rows, c.rows)...) {
			out = append(out, place+": "+problem)
		}
	}
	return out
}

func blocksMissing(english, chinese []string) (out []string) {
	if len(english) != len(chinese) {
		return []string{fmt.Sprintf("code blocks: %d, want %d", len(chinese), len(english))}
	}
	for i := range english {
		have := strings.Split(chinese[i], "\n")
		for j, line := range strings.Split(english[i], "\n") {
			if j >= len(have) || have[j] != line {
				out = append(out, fmt.Sprintf("code block %d: %q is missing, or stands elsewhere", i+1, line))
				break
			}
		}
		if len(have) > strings.Count(english[i], "\n")+1 {
			out = append(out, fmt.Sprintf("code block %d: has more lines", i+1))
		}
	}
	return out
}

// rowsMissing compares tables row by row. Where their number differs, rows are told by the names in them.
func rowsMissing(english, chinese []row) (out []string) {
	if len(english) != len(chinese) {
		out = append(rowsWithout(english, chinese, "has no row for it"), rowsWithout(chinese, english, "is no row of the original")...)
		return append(out, fmt.Sprintf("rows of tables: %d, want %d", len(chinese), len(english)))
	}
	for i, e := range english {
		c := chinese[i]
		if len(e.cells) != len(c.cells) {
			out = append(out, fmt.Sprintf("%q: %d cells, want %d", e.line, len(c.cells), len(e.cells)))
			continue
		}
		for j := range e.cells {
			for _, problem := range e.cells[j].missing(c.cells[j]) {
				out = append(out, fmt.Sprintf("%q: cell %d: %s", e.line, j+1, problem))
			}
		}
	}
	return out
}

// rowsWithout are the rows of one table that are not in the other.
func rowsWithout(rows, others []row, what string) (out []string) {
	others = slices.Clone(others)
	for _, r := range rows {
		i := slices.IndexFunc(others, func(o row) bool { return r.like(o) })
		if i < 0 {
			out = append(out, fmt.Sprintf("%q: %s", r.line, what))
			continue
		}
		others = slices.Delete(others, i, i+1)
	}
	return out
}

func (r row) like(o row) bool {
	return slices.EqualFunc(r.cells, o.cells, func(a, b piece) bool { return maps.Equal(a.names, b.names) && maps.Equal(a.links, b.links) })
}

// missing is what a translation has not, or has and should not. A figure may stand where the original has a word.
func (p piece) missing(o piece) (out []string) {
	for name, n := range p.names {
		if o.names[name] < n {
			out = append(out, fmt.Sprintf("%q is missing", name))
		}
	}
	for name, n := range o.names {
		if p.names[name] < n {
			out = append(out, fmt.Sprintf("%q is too much", name))
		}
	}
	for link, n := range p.links {
		if o.links[link] < n {
			out = append(out, fmt.Sprintf("link to %s is missing", link))
		}
	}
	for link, n := range o.links {
		if p.links[link] < n {
			out = append(out, fmt.Sprintf("link to %s is too much", link))
		}
	}
	for f, n := range p.figures {
		if o.figures[f] < n {
			out = append(out, fmt.Sprintf("figure %s is missing", f))
		}
	}
	slices.Sort(out)
	return out
}
