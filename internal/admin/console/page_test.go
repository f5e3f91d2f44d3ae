package console

import (
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatrelay/internal/trace"
)

func (k *kit) text(path string) (string, *http.Response) {
	k.t.Helper()
	res := k.as(nil, path, "")
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b), res
}

// TestPage: everything that the page is made of is served, of the right kind, and asked for again only when it changed.
func TestPage(t *testing.T) {
	k := newKit(t)
	named := map[string]bool{}
	for name := range k.c.page {
		text, res := k.text("page/" + name)
		if strings.HasPrefix(name, index) {
			text, res = k.text("")
		}
		kind := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}[name[strings.LastIndexByte(name, '.')+1:]]
		if res.StatusCode != 200 || kind != "" && res.Header.Get("Content-Type") != kind || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %q", name, res.StatusCode, res.Header)
		}
		for _, m := range regexp.MustCompile(`(?:from '\./|(?:src|href)="page/)([^'"]+)`).FindAllStringSubmatch(text, -1) {
			named[m[1]] = true
			if _, ok := k.c.page[m[1]]; !ok {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
		r := fromThePage("page/"+name, "")
		r.Header.Set("If-None-Match", res.Header.Get("Etag"))
		if strings.HasPrefix(name, index) {
			continue
		}
		if res := k.do(r); res.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %d", name, res.StatusCode)
		}
	}
	if len(named) != len(k.c.page)-2 {
		t.Errorf("%d of %d files are named by others", len(named), len(k.c.page)-2)
	}
}

// TestPageIsStrict: nothing of it could need a weaker policy, come from elsewhere, or make markup of a text.
func TestPageIsStrict(t *testing.T) {
	bad := map[string]*regexp.Regexp{
		"markup of text":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|setHTML|srcdoc`),
		"code of text":     regexp.MustCompile(`\beval\(|new Function|setTimeout\(['"]|javascript:`),
		"inline":           regexp.MustCompile(`<style|<script>|\sstyle="|\son\w+="`),
		"another place":    regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]`),
		"something to do":  regexp.MustCompile(`TO[D]O|FIX[M]E|console\.log|debugger`),
		"an import of npm": regexp.MustCompile(`from '[^.]`),
	}
	err := fs.WalkDir(files, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		text := strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", "")
		for what, re := range bad {
			if m := re.FindString(text); m != "" {
				t.Errorf("%s has %s: %q", name, what, m)
			}
		}
		if n := strings.Count(text, "\n"); n > 400 {
			t.Errorf("%s has %d lines: it has more than one duty", name, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var textKey = regexp.MustCompile(`(?m)(?:^  |, )'([^'\n]+)': `)

// TestTwoLanguages: each text is there in both, with the same names in it.
func TestTwoLanguages(t *testing.T) {
	texts := map[string]map[string]string{}
	for _, name := range []string{"en", "zh"} {
		b, err := files.ReadFile("page/" + name + ".js")
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = map[string]string{}
		all := textKey.FindAllStringSubmatchIndex(string(b), -1)
		for i, m := range all {
			end := len(b)
			if i+1 < len(all) {
				end = all[i+1][0]
			}
			texts[name][string(b[m[2]:m[3]])] = string(b[m[1]:end])
		}
	}
	if len(texts["en"]) < 150 {
		t.Fatalf("%d texts", len(texts["en"]))
	}
	names := regexp.MustCompile(`\{\w+\}`)
	for key, text := range texts["en"] {
		other, ok := texts["zh"][key]
		if !ok {
			t.Errorf("there is no Chinese for %q", key)
			continue
		}
		for _, name := range names.FindAllString(text, -1) {
			if !strings.Contains(other, name) {
				t.Errorf("%q lacks %s in Chinese", key, name)
			}
		}
	}
	for key := range texts["zh"] {
		if _, ok := texts["en"][key]; !ok {
			t.Errorf("there is no English for %q", key)
		}
	}
	usesOnly(t, texts["en"])
}

// TestTraceWords: each event and each state of a message has a text.
func TestTraceWords(t *testing.T) {
	b, err := files.ReadFile("page/en.js")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range []trace.Event{trace.Taken, trace.Repeated, trace.Refused, trace.Full, trace.Bound, trace.Resumed, trace.Unbound, trace.Deferred, trace.Held,
		trace.Settled, trace.Unproven, trace.Dead, trace.Bounced, trace.Requeued, trace.Dropped, trace.PutAway, trace.Proven} {
		words = append(words, "event."+string(e))
	}
	for _, s := range []string{trace.StateWaiting, trace.StateOnWire, trace.StateDelivered, trace.StateDead, trace.StateBounced, trace.StateRefused, trace.StateNotTaken,
		trace.StateAnswer, trace.StateKnown} {
		words = append(words, "trace."+s)
	}
	for _, word := range words {
		if !strings.Contains(string(b), "'"+word+"': '") {
			t.Errorf("the page has no text for %q", word)
		}
	}
}

// usesOnly: what the page asks for in so many words is there.
func usesOnly(t *testing.T, texts map[string]string) {
	t.Helper()
	used := 0
	for name, a := range newKit(t).c.page {
		if !strings.HasSuffix(name, ".js") || slices.Contains([]string{"en.js", "zh.js"}, name) {
			continue
		}
		for _, m := range regexp.MustCompile(`\bt\('([^']+)'[,)]`).FindAllSubmatch(a.content, -1) {
			used++
			if _, ok := texts[string(m[1])]; !ok {
				t.Errorf("%s uses the text %q, which is not there", name, m[1])
			}
		}
	}
	if used < 80 {
		t.Errorf("%d texts are used", used)
	}
}

// TestLanguage: the page comes in the language that the browser likes best.
func TestLanguage(t *testing.T) {
	k := newKit(t)
	for header, chinese := range map[string]bool{
		"": false, "en": false, "zh": true, "zh-CN,zh;q=0.9,en;q=0.8": true, "zh-TW": true, "ZH-hans": true, "en-GB,en;q=0.9,zh;q=0.8": false, "de,zh;q=0.5": true,
		"de": false, "en;q=0.5, zh-CN": true, "zh;q=0": false, "zh; q=0.3, en; q=0.2": true, "zh;q=x,en": false, ";;,,q=": false, "*": false,
	} {
		r := fromThePage("", "")
		r.Header.Set("Accept-Language", header)
		res := k.do(r)
		b, err := io.ReadAll(res.Body)
		if err != nil || strings.Contains(string(b), `lang="zh-CN"`) != chinese || res.Header.Get("Vary") != "Accept-Language" {
			t.Errorf("%q: Chinese should be %v: %v", header, chinese, err)
		}
	}
}
