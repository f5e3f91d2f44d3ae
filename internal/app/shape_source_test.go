package app

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// source is a package of ours as it is written, without its tests.
type source struct {
	name  string // its folder
	fset  *token.FileSet
	files []*ast.File
	info  types.Info
}

// sources reads the packages that the relay is made of.
func sources(t *testing.T) (all []*source) {
	t.Helper()
	for folder, names := range goFiles(t) {
		if !product(folder) {
			continue
		}
		s := &source{name: folder, fset: token.NewFileSet()}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(s.fset, filepath.Join(root, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			s.files = append(s.files, f)
		}
		if len(s.files) > 0 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *source) int { return strings.Compare(a.name, b.name) })
	return all
}

// product tells whether a folder belongs to the relay: what only tests and the demo need has a shape of its own.
func product(folder string) bool {
	top, _, _ := strings.Cut(folder, "/")
	return !slices.Contains([]string{"test", "demo", "bench", "deploy", "tools"}, top) && !strings.HasSuffix(folder, "test")
}

// goFiles lists all Go files by folder.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".go"):
			folder := filepath.ToSlash(filepath.Dir(path))
			found[folder] = append(found[folder], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// resolve finds out what is meant by each name, as far as the package itself can tell: what it imports is taken for
// empty, so nothing has to be built for that.
func (s *source) resolve() {
	s.info = types.Info{Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	c := types.Config{Importer: empty{}, Error: func(error) {}, FakeImportC: true}
	_, _ = c.Check(s.name, s.fset, s.files, &s.info) // errors were expected
}

// empty imports packages without anything in them.
type empty struct{}

func (empty) Import(path string) (*types.Package, error) {
	name := path[strings.LastIndex(path, "/")+1:]
	p := types.NewPackage(path, name)
	p.MarkComplete()
	return p, nil
}

// file is the name of the file that something is written in.
func (s *source) file(p token.Pos) string { return filepath.Base(s.fset.Position(p).Filename) }

// lines is how many lines something takes.
func (s *source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// largestStruct is the struct with the most fields; an embedded one is one.
func (s *source) largestStruct() (name string, most int) {
	s.each(func(n ast.Node) {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return
		}
		if st, ok := spec.Type.(*ast.StructType); ok && st.Fields.NumFields() > most {
			name, most = spec.Name.Name, st.Fields.NumFields()
		}
	})
	return name, most
}

// largestType is the type with the most methods.
func (s *source) largestType() (name string, most int) {
	methods := map[string]int{}
	s.each(func(n ast.Node) {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Recv == nil {
			return
		}
		of := receiver(f)
		methods[of]++
		if n := methods[of]; n > most || n == most && of < name {
			name, most = of, n
		}
	})
	return name, most
}

// receiver is the name of a method's type.
func receiver(f *ast.FuncDecl) string {
	x := f.Recv.List[0].Type
	for {
		switch y := x.(type) {
		case *ast.StarExpr:
			x = y.X
		case *ast.IndexExpr:
			x = y.X
		case *ast.IndexListExpr:
			x = y.X
		case *ast.Ident:
			return y.Name
		default:
			return ""
		}
	}
}

// each shows all that is written in a package.
func (s *source) each(see func(ast.Node)) {
	for _, f := range s.files {
		ast.Inspect(f, func(n ast.Node) bool {
			if n != nil {
				see(n)
			}
			return true
		})
	}
}

// arrow is between two files of a package: the first calls a function or method of the second.
type arrow struct{ from, to string }

// arrows lists those of a package. A call by way of an interface is none: that is a seam.
func (s *source) arrows() []arrow {
	s.resolve()
	seen := map[arrow]bool{}
	var list []arrow
	for id, of := range s.info.Uses {
		f, ok := of.(*types.Func)
		if !ok || f.Pkg() == nil || f.Pkg().Path() != s.name {
			continue
		}
		if recv := f.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
			continue
		}
		a := arrow{s.file(id.Pos()), s.file(f.Origin().Pos())}
		if a.from != a.to && !seen[a] {
			seen[a] = true
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b arrow) int { return strings.Compare(a.from+"\x00"+a.to, b.from+"\x00"+b.to) })
	return list
}

// stringOf is the value of a string literal.
func stringOf(x ast.Expr) (string, bool) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}
