package readme

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReasons: docs/ENVELOPE.md has each reason for which the relay refuses, buries, bounces or ignores a message.
func TestReasons(t *testing.T) {
	b, err := os.ReadFile("../../docs/ENVELOPE.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := reasonsIn(t)
	for reason := range reasons {
		if !strings.Contains(string(b), "`"+reason) && !(strings.HasSuffix(reason, "_") && strings.Contains(string(b), "`"+reason+"…`")) {
			t.Errorf("docs/ENVELOPE.md lacks the reason %s", reason)
		}
	}
	if len(reasons) < 25 {
		t.Errorf("%d reasons in the code", len(reasons))
	}
}

// TestReasonsInConsole: the console says in both languages what each reason of docs/ENVELOPE.md means.
func TestReasonsInConsole(t *testing.T) {
	b, err := os.ReadFile("../../docs/ENVELOPE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, listed, _ := strings.Cut(string(b), "\nReasons of refusals, as they are counted: ")
	listed, _, _ = strings.Cut(listed, "\n\nIgnored,")
	words := regexp.MustCompile("`([a-z][a-z0-9_]+)`").FindAllStringSubmatch(listed, -1)
	if len(words) < 40 {
		t.Fatalf("%d reasons in docs/ENVELOPE.md", len(words))
	}
	for _, language := range []string{"en", "zh"} {
		texts, err := os.ReadFile("../../internal/admin/console/page/" + language + ".js")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if !strings.Contains(string(texts), "'reason."+w[1]+"': '") {
				t.Errorf("%s.js has no text for %s", language, w[1])
			}
		}
	}
}

// reasonsIn are those of the product's code. One that ends in _ goes on with a word of the far server.
func reasonsIn(t *testing.T) map[string]bool {
	t.Helper()
	reasons := map[string]bool{}
	walkProduct(t, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if name := called(n); name == "Refuse" || name == "ignored" || name == "ignore" {
				for _, arg := range n.Args[:min(len(n.Args), 2)] { // ignore has it second
					if text, ok := arg.(*ast.BasicLit); ok && name != "Refuse" || ok && arg == n.Args[0] {
						reasons[constants(text)[0]] = true
					}
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Ignored" {
				for _, text := range constants(n.Value) {
					reasons[text] = true
				}
			}
		}
		return true
	})
	return reasons
}

// called is the name of the function or method that is called.
func called(n *ast.CallExpr) string {
	switch f := n.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
