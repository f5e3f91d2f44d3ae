package readme

import (
	"go/ast"
	"os"
	"strings"
	"testing"
)

// TestReasons: docs/ENVELOPE.md has each reason for which the relay refuses, buries, bounces or ignores a message.
func TestReasons(t *testing.T) {
	b, err := os.ReadFile("../../docs/ENVELOPE.md")
	if err != nil {
		t.Fatal(err)
	}
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
	for reason := range reasons {
		if !strings.Contains(string(b), "`"+reason) && !(strings.HasSuffix(reason, "_") && strings.Contains(string(b), "`"+reason+"…`")) {
			t.Errorf("docs/ENVELOPE.md lacks the reason %s", reason)
		}
	}
	if len(reasons) < 25 {
		t.Errorf("%d reasons in the code", len(reasons))
	}
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
