package message

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// The everyday envelope costs at most this many allocations, read and named.
const maxAllocs = 6

func TestEverydayAllocs(t *testing.T) {
	b, rules := []byte(benchBody), testRules()
	if len(b) != 300 {
		t.Fatalf("the everyday envelope has %d bytes, want 300", len(b))
	}
	got := testing.AllocsPerRun(200, func() {
		e, err := Parse(b, rules)
		if err != nil {
			t.Fatal(err)
		}
		_ = e.Key()
	})
	if got > maxAllocs {
		t.Errorf("Parse and Key: %v allocations, want at most %d", got, maxAllocs)
	}
}

// hostile bodies hold about n times the same thing.
var hostile = map[string]func(n int) string{
	"other fields":    func(n int) string { return with(benchBody, strings.Repeat(`"x":0,`, n)+`"x":0`) },
	"escaped fields":  func(n int) string { return with(benchBody, strings.Repeat(`"\u0078":0,`, n)+`"x":0`) },
	"one known field": func(n int) string { return with(benchBody, strings.Repeat(`"from":"1001",`, n)+`"x":0`) },
	"statuses":        func(n int) string { return with(benchBody, strings.Repeat(`"status":"sen\u0074",`, n)+`"x":0`) },
	"reasons":         func(n int) string { return with(benchBody, strings.Repeat(`"reason":0,`, n)+`"x":0`) },
	"shallow arrays":  func(n int) string { return with(benchBody, `"x":[`+strings.Repeat(`[],`, n)+`0]`) },
	"fields of 31 levels": func(n int) string {
		return with(benchBody, strings.Repeat(`"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+`,`, n/31)+`"x":0`)
	},
	"open arrays":        func(n int) string { return with(benchBody, `"x":`+strings.Repeat(`[`, n)) },
	"open objects":       func(n int) string { return with(benchBody, `"x":`+strings.Repeat(`{"x":`, n)) },
	"an array of arrays": func(n int) string { return strings.Repeat(`[`, n) },
	"31 levels, long names": func(n int) string {
		return with(benchBody, `"x":`+strings.Repeat(`{"`+strings.Repeat("~", n/31)+`":`, 30)+"!")
	},
	"digits of from": func(n int) string { return with(`{"to":1}`, `"from":`+strings.Repeat("9", n)) },
	"digits of timeStamp": func(n int) string {
		return `{"from":1,"to":2,"content":"","timeStamp":1` + strings.Repeat("0", n) + `e-` + strings.Repeat("0", n) + `5}`
	},
	"digits of contentType": func(n int) string {
		return `{"from":1,"to":2,"content":"","contentType":` + strings.Repeat("9", n) + `}`
	},
	"digits of an id":    func(n int) string { return `{"from":1,"to":2,"content":"","id":` + strings.Repeat("9", n) + `}` },
	"a long content":     func(n int) string { return `{"from":1,"to":2,"content":"` + strings.Repeat("x", n) + `"}` },
	"an escaped content": func(n int) string { return `{"from":1,"to":2,"content":"` + strings.Repeat(`\ufffe`, n) + `"}` },
	"raw U+FFFE":         func(n int) string { return `{"from":1,"to":2,"content":"` + strings.Repeat("\uFFFE", n) + `"}` },
	"white space":        func(n int) string { return strings.Repeat(" ", n) + benchBody + strings.Repeat("\n", n) },
	"backslashes":        func(n int) string { return `{"from":1,"to":2,"content":"` + strings.Repeat(`\\`, n) + `"}` },
	"an open string":     func(n int) string { return `{"x":["` + strings.Repeat(`{`, n) },
}

// work does to a body all that is done to any body, and tells how large what it made is.
func work(b []byte) (made int) {
	if e, err := Parse(b, &Rules{}); err == nil {
		_ = e.KeyWithID("cr-1")
	}
	reason := strings.Repeat("r", 200)
	return len(WithNotice(b, "failed", reason, noticeTime)) + len(WithID(b, "cr-1")) + len(WithTo(b, "1002")) + len(XMLSafe(b))
}

// spent measures a run of work: how many allocations, and of how many bytes.
func spent(b []byte) (allocs, size uint64) {
	work(b) // what is made once
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work(b)
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// What a body costs is in proportion to its length, whatever is in it: memory is, and what is made of it is not
// much longer than it, and the count of allocations hardly grows at all.
func TestCostIsLinear(t *testing.T) {
	const n = 2000
	for name, make := range hostile {
		t.Run(name, func(t *testing.T) {
			small, large := []byte(make(n)), []byte(make(16*n))
			allocs1, size1 := spent(small)
			allocs16, size16 := spent(large)
			if allocs16 > allocs1+64 {
				t.Errorf("%d allocations for %d bytes, %d for %d", allocs1, len(small), allocs16, len(large))
			}
			if size16 > 32*size1+64<<10 { // where buffers grow by a quarter and not by half, it is not 16
				t.Errorf("%d bytes of memory for %d bytes, %d for %d", size1, len(small), size16, len(large))
			}
			if made := work(large); made > 5*len(large)+4096 {
				t.Errorf("%d bytes made of %d", made, len(large))
			}
		})
	}
}

// jsontext calls itself for each level; a body must not be able to make it do so thousands of times.
func TestDepthIsHeldBeforeReading(t *testing.T) {
	for name, tt := range map[string]struct{ begin, open, want string }{
		"arrays":             {`{"x":`, `[`, TooDeep},
		"objects":            {`{"x":`, `{"a":`, TooDeep},
		"behind a sibling":   {`{"x":[[1],`, `[`, TooDeep},
		"arrays for a name":  {`{`, `[`, NotJSON},
		"objects for a name": {`{"x":1,`, `{"a":`, NotJSON},
		"no object":          {``, `[`, TooDeep},
	} {
		t.Run(name, func(t *testing.T) {
			allocs := func(levels int) float64 {
				b, rules := []byte(tt.begin+strings.Repeat(tt.open, levels)), testRules()
				return testing.AllocsPerRun(10, func() {
					var why *Refusal
					if _, err := Parse(b, rules); !errors.As(err, &why) || why.Reason != tt.want {
						t.Fatalf("%d levels: %v, want %s", levels, err, tt.want)
					}
				})
			}
			if few, many := allocs(40), allocs(9000); many > few {
				t.Errorf("40 levels take %v allocations, 9000 take %v", few, many)
			}
		})
	}
}

// deeper reads no further than it must: else a body of many values would be read once for each.
func TestDeeperStops(t *testing.T) {
	for name, tt := range map[string]struct {
		body   string
		levels int
		want   bool
	}{
		"flat":                   {`[1,2]`, 1, false},
		"one too many":           {`[[1],2]`, 1, true},
		"just enough":            {`[[1],2]`, 2, false},
		"behind the value":       {`[1],[[[[`, 1, false},
		"behind a colon":         {` : {"a":[1]}`, 1, true},
		"in a string":            {`["[[[["]`, 1, false},
		"in an escaped string":   {`["\"[[[["]`, 1, false},
		"behind a string":        {`["\\",[1]]`, 1, true},
		"a lone closing bracket": {`][[[[`, 1, false},
		"siblings":               {`[[1],[2],{"a":3}]`, 2, false},
		"cut short in a string":  {`["\`, 1, false},
		"nothing":                {``, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := deeper([]byte(tt.body), tt.levels); got != tt.want {
				t.Errorf("deeper(%s, %d) = %v, want %v", tt.body, tt.levels, got, tt.want)
			}
		})
	}
}
