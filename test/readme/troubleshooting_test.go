package readme

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const troubleshooting = "../../docs/TROUBLESHOOTING.md"

// said is what product code can say: texts of log lines at level warn or error, and all texts.
type logCall struct {
	lines []string // of a line that is put together at run time: its constant parts
	texts []string
}

// TestTroubleshooting: the document has each warning and error that the relay can log, and no line that it cannot.
func TestTroubleshooting(t *testing.T) {
	b, err := os.ReadFile(troubleshooting)
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(b), -1) {
		entries = append(entries, m[1])
	}
	code := productTexts(t)
	for _, line := range code.lines {
		if !slices.ContainsFunc(entries, func(e string) bool { return strings.Contains(e, line) }) {
			t.Errorf("%s lacks %q", troubleshooting, line)
		}
	}
	for _, entry := range entries {
		for _, part := range strings.Split(entry, "…") { // what is filled in at run time
			if !slices.ContainsFunc(code.texts, func(s string) bool { return strings.Contains(s, part) }) {
				t.Errorf("nothing in the code says %q", part)
			}
		}
	}
	if len(code.lines) < 40 || len(entries) < 40 {
		t.Errorf("%d lines in the code, %d in %s", len(code.lines), len(entries), troubleshooting)
	}
}

func productTexts(t *testing.T) (all logCall) {
	t.Helper()
	walkProduct(t, all.see)
	return all
}

// walkProduct shows each node of the product's code.
func walkProduct(t *testing.T, see func(ast.Node) bool) {
	t.Helper()
	files := token.NewFileSet()
	for _, dir := range []string{"bridge", "cmd", "configs", "internal", "mqttside", "xmppside"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "bridgetest") {
				return err
			}
			f, err := parser.ParseFile(files, path, nil, 0)
			if err == nil {
				ast.Inspect(f, see)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (s *logCall) see(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BasicLit:
		s.texts = append(s.texts, constants(n)...)
	case *ast.BinaryExpr:
		s.texts = append(s.texts, strings.Join(constants(n), "")) // a long text in several pieces
	case *ast.CallExpr:
		f, ok := n.Fun.(*ast.SelectorExpr)
		switch {
		case !ok || len(n.Args) == 0:
		case f.Sel.Name == "Msg" && warns(f.X):
			s.lines = append(s.lines, constants(n.Args[0])...)
		case f.Sel.Name == "later" && len(n.Args) == 2 && warns(n.Args[0]): // the journal's, off its lock
			s.lines = append(s.lines, constants(n.Args[1])...)
		}
	}
	return true
}

// loud tells whether an event is made by Warn() or Error().
func warns(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (len(call.Args) == 0 && (f.Sel.Name == "Warn" || f.Sel.Name == "Error") || warns(f.X))
}

// constants are the texts of an expression; those that stand next to each other are one.
func constants(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return []string{text}
		}
	case *ast.BinaryExpr:
		left, right := constants(e.X), constants(e.Y)
		_, ok1 := e.X.(*ast.BasicLit)
		_, ok2 := e.Y.(*ast.BasicLit)
		if ok1 && ok2 && len(left) == 1 && len(right) == 1 {
			return []string{left[0] + right[0]}
		}
		return append(left, right...)
	}
	return nil
}
