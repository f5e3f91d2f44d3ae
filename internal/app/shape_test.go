package app

import (
	"bytes"
	"go/ast"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Measures of the house.
const (
	mostFields    = 20 // of a struct
	mostMethods   = 30 // of a type
	mostLines     = 400
	mostFuncLines = 80
	backOneIn     = 10 // of the arrows between a package's files at most one in so many runs back up
)

// ceiling is what a package has today beyond the measures: it may only become less. 0: the measure holds.
type ceiling struct{ fields, methods, back, sql int }

// ceilings: the journal's go when it is a log with a picture, tables and a queue of their own, mqttside's with its own
// session.
func ceilings() map[string]ceiling {
	return map[string]ceiling{
		"internal/journal": {fields: 41, methods: 112, back: 9},
		"mqttside":         {fields: 30, methods: 91},
		"xmppside/sm":      {fields: 34, methods: 45, back: 10},
	}
}

// longTests are tests that are longer than a file should be.
func longTests() map[string]int {
	return map[string]int{
		"bridge/intake_test.go": 509, "bridge/judge_test.go": 440, "mqttside/connect_test.go": 433, "mqttside/fault_test.go": 454,
		"test/proxy/proxy_test.go": 427, "xmppside/sm/fake_test.go": 502,
	}
}

const atCeiling = "Split it, or take away what is new: a ceiling (at the top of shape_test.go) is never raised."

// TestShape holds the shape of the house.
func TestShape(t *testing.T) {
	all := sources(t)
	for name, check := range map[string]func(*testing.T, []*source){
		"no struct is two things": noStructIsTwoThings, "calls run one way": callsRunOneWay, "files and functions are short": filesAndFunctionsAreShort,
		"SQL stands in one place": sqlStandsInOnePlace, "log keys differ": logKeysDiffer, "spans are of the monotonic clock": spansAreMonotonic, "the table of imports is whole": importTableIsWhole,
	} {
		t.Run(name, func(t *testing.T) { check(t, all) })
	}
}

// noStructIsTwoThings: fields and methods.
func noStructIsTwoThings(t *testing.T, all []*source) {
	for _, s := range all {
		limit := ceilings()[s.name]
		name, n := s.largestStruct()
		hold(t, "fields of the struct "+s.name+"."+name, n, mostFields, limit.fields)
		name, n = s.largestType()
		hold(t, "methods of the type "+s.name+"."+name, n, mostMethods, limit.methods)
	}
}

// hold compares a figure with its measure, or with the ceiling.
func hold(t *testing.T, what string, got, measure, ceiling int) {
	t.Helper()
	t.Logf("%s: %d", what, got)
	switch {
	case ceiling == 0 && got > measure:
		t.Errorf("%s: %d, the house allows %d. It is two things by now: split it.", what, got, measure)
	case ceiling != 0 && got > ceiling:
		t.Errorf("%s: %d, and it has been %d. %s", what, got, ceiling, atCeiling)
	case got < ceiling:
		t.Logf("it has been %d: lower its ceiling (at the top of shape_test.go)", ceiling)
	}
}

// callsRunOneWay: the files of a package can be read in an order in which they call downwards. An arrow is a file that
// calls a function or method of another; those that run back up are counted in the order that has the fewest.
func callsRunOneWay(t *testing.T, all []*source) {
	for _, s := range all {
		arrows := s.arrows()
		back := runBack(arrows)
		what := "arrows that run back up among the files of " + s.name
		t.Logf("%s: %d of %d, %v", what, len(back), len(arrows), back)
		limit := ceilings()[s.name].back
		switch {
		case limit == 0 && len(back)*backOneIn > len(arrows):
			t.Errorf("%s: %d of %d, the house allows one in %d: %v. Move what is called to the file that calls, or below both.",
				what, len(back), len(arrows), backOneIn, back)
		case limit != 0 && len(back) > limit:
			t.Errorf("%s: %d, and it has been %d: %v. Move what is called to the file that calls, or below both; %s",
				what, len(back), limit, back, atCeiling)
		case len(back) < limit:
			t.Logf("they have been %d: lower the ceiling (at the top of shape_test.go)", limit)
		}
	}
}

// runBack lists the arrows against the order of files that has the fewest of them, as far as a search from many orders
// finds it. It is the same on every machine.
func runBack(arrows []arrow) (least []arrow) {
	var files []string
	for _, a := range arrows {
		files = append(files, a.from, a.to)
	}
	slices.Sort(files)
	files = slices.Compact(files)
	least = arrows
	rng := rand.New(rand.NewPCG(1, 1))
	for range 15 {
		order := slices.Clone(files)
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for better := true; better; {
			better = false
			for _, file := range files {
				better = improve(order, file, arrows) || better
			}
		}
		if back := against(order, arrows); len(back) < len(least) {
			least = back
		}
	}
	return least
}

// improve puts a file to the place where the fewest of its arrows run back up; false: it is there.
func improve(order []string, file string, arrows []arrow) bool {
	calls, called := map[string]bool{}, map[string]bool{}
	for _, a := range arrows {
		if a.from == file {
			calls[a.to] = true
		}
		if a.to == file {
			called[a.from] = true
		}
	}
	at := slices.Index(order, file)
	others := slices.Delete(slices.Clone(order), at, at+1)
	cost := len(called) // at the very top
	best, place, now := cost, 0, cost
	for i := 0; ; i++ {
		if i == at {
			now = cost
		}
		if cost < best {
			best, place = cost, i
		}
		if i == len(others) {
			break
		}
		if calls[others[i]] {
			cost++
		}
		if called[others[i]] {
			cost--
		}
	}
	if best >= now {
		return false
	}
	copy(order, slices.Insert(others, place, file))
	return true
}

func against(order []string, arrows []arrow) (back []arrow) {
	for _, a := range arrows {
		if slices.Index(order, a.from) > slices.Index(order, a.to) {
			back = append(back, a)
		}
	}
	return back
}

func TestRunBack(t *testing.T) {
	a, b, c, d := arrow{"a", "b"}, arrow{"b", "c"}, arrow{"c", "d"}, arrow{"d", "b"}
	for _, x := range []struct {
		arrows []arrow
		want   int
	}{{nil, 0}, {[]arrow{a, b, c}, 0}, {[]arrow{a, b, c, d}, 1}, {[]arrow{a, {"b", "a"}, b, c, d}, 2}} {
		if got := runBack(x.arrows); len(got) != x.want {
			t.Errorf("of %v these run back up: %v, want %d", x.arrows, got, x.want)
		}
	}
}

// filesAndFunctionsAreShort, those of tests too.
func filesAndFunctionsAreShort(t *testing.T, all []*source) {
	for _, names := range goFiles(t) {
		for _, name := range names {
			b, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			if n, limit := bytes.Count(b, []byte("\n")), max(mostLines, longTests()[name]); n > limit {
				t.Errorf("%s has %d lines, the house allows %d: it has more than one duty, split it", name, n, limit)
			}
		}
	}
	for _, s := range all {
		s.each(func(n ast.Node) {
			if f, ok := n.(*ast.FuncDecl); ok && s.lines(f) > mostFuncLines {
				t.Errorf("%s: %s has %d lines, the house allows %d: name its steps", s.name, f.Name.Name, s.lines(f), mostFuncLines)
			}
		})
	}
}

var sqlText = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE FROM|CREATE TABLE|ALTER TABLE|DROP|PRAGMA|BEGIN|COMMIT|ROLLBACK)\b`)

// sqlStandsInOnePlace: files that name SQL or its driver are counted.
func sqlStandsInOnePlace(t *testing.T, all []*source) {
	for _, s := range all {
		if s.name == "internal/journal/sqlite" || s.name == "internal/journal/pg" {
			continue // those are the places
		}
		files := map[string]bool{}
		s.each(func(n ast.Node) {
			lit, ok := n.(*ast.BasicLit)
			if !ok {
				return
			}
			if text, _ := stringOf(lit); sqlText.MatchString(text) || text == "database/sql" || strings.HasPrefix(text, "modernc.org/sqlite") {
				files[s.file(lit.Pos())] = true
			}
		})
		if limit := ceilings()[s.name].sql; len(files) > limit {
			t.Errorf("%d files of %s name SQL, and it has been %d: it belongs to the journal's tables alone, behind a method that says what is asked", len(files), s.name, limit)
		}
	}
}

// logKeysDiffer: no line of the log has a key twice, neither in one event nor from the logger it is written with.
func logKeysDiffer(t *testing.T, all []*source) {
	for _, s := range all {
		s.each(func(n ast.Node) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return
			}
			verb, keys := logKeys(call)
			if verb != "Msg" && verb != "Msgf" && verb != "Send" && verb != "Logger" {
				return
			}
			if verb != "Logger" {
				keys = append(keys, "level", "time", "message")
			}
			slices.Sort(keys)
			if len(slices.Compact(slices.Clone(keys))) < len(keys) {
				t.Errorf("%v: a log line with a key twice: %v", s.fset.Position(call.Pos()), keys)
			}
		})
	}
}

// spansAreMonotonic: a moment kept as a number of the wall clock's makes a span that each step of that clock changes.
// wait.Running keeps one; what is shown or stored is in ms.
func spansAreMonotonic(t *testing.T, all []*source) {
	for _, s := range all {
		s.each(func(n ast.Node) {
			f, ok := n.(*ast.SelectorExpr)
			if ok && (f.Sel.Name == "UnixNano" || f.Sel.Name == "UnixMicro") {
				t.Errorf("%v: %s: keep a moment by wait.Running", s.fset.Position(n.Pos()), f.Sel.Name)
			}
		})
	}
}

// logKeys are the keys of a chain of zerolog's methods, and its last method.
func logKeys(call *ast.CallExpr) (verb string, keys []string) {
	for {
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return verb, keys
		}
		if verb == "" {
			verb = method.Sel.Name
		}
		switch name := method.Sel.Name; {
		case name == "Err" && len(call.Args) == 1:
			keys = append(keys, "error")
		case name == "Timestamp":
			keys = append(keys, "time")
		case len(call.Args) >= 2:
			if key, ok := stringOf(call.Args[0]); ok {
				keys = append(keys, key)
			}
		}
		if call, ok = method.X.(*ast.CallExpr); !ok {
			return verb, keys
		}
	}
}

// importTableIsWhole: every package of the relay has a row in mayUse.
func importTableIsWhole(t *testing.T, all []*source) {
	for _, s := range all {
		if _, ok := mayUse()[s.name]; !ok {
			t.Errorf("%s has no row in mayUse (imports_test.go): say what it may import", s.name)
		}
	}
}
