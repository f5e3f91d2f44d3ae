package console

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"chatrelay/test/chromium"
)

// waitLimit is how long a person would wait on a machine that is busy.
const waitLimit = 45 * time.Second

// page is the console in a browser.
type page struct {
	t   *testing.T
	b   *chromium.Browser
	url string
}

func newPage(t *testing.T, url string) *page {
	t.Helper()
	path := ""
	for _, name := range chromium.Names() {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium: scripts/deps check installs it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	b, err := chromium.Start(ctx, path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &page{t: t, b: b, url: url}
	p.look(1280, 860, "light")
	if err := b.Open(url + "/"); err != nil { // it leads to /console/
		t.Fatal(err)
	}
	return p
}

func (p *page) look(width, height int, scheme string) {
	p.t.Helper()
	if err := p.b.Look(width, height, 1, scheme); err != nil {
		p.t.Fatal(err)
	}
}

// eval is the value of an expression.
func (p *page) eval(expression string) any {
	p.t.Helper()
	v, err := p.b.Eval(expression)
	if err != nil {
		p.t.Fatalf("%.300s: %v", expression, err)
	}
	return v
}

// sees waits until an expression is true.
func (p *page) sees(expression string) {
	p.t.Helper()
	for late := time.Now().Add(waitLimit); p.eval(expression) != true; time.Sleep(30 * time.Millisecond) {
		if time.Now().After(late) {
			p.t.Fatalf("not seen: %s\nthe page says: %.1500v\nerrors: %q", expression, p.eval("document.body.innerText"), p.b.Errors)
		}
	}
}

// reads waits until the text of what a selector names holds a text.
func (p *page) reads(selector, text string) {
	p.t.Helper()
	p.sees(fmt.Sprintf("[...document.querySelectorAll(%s)].some((el) => el.innerText.includes(%s))", quote(selector), quote(text)))
}

// press clicks the button (or link) with a text, once there is one that can be pressed.
func (p *page) press(within, text string) {
	p.t.Helper()
	find := fmt.Sprintf("[...document.querySelectorAll(%s)].find((el) => el.textContent.trim() === %s && !el.disabled)", quote(within+" button, "+within+" a"), quote(text))
	p.sees(find + " !== undefined")
	p.eval(find + ".click()")
}

// choose sets a field and tells the page.
func (p *page) choose(selector, value string) {
	p.t.Helper()
	p.sees(fmt.Sprintf("document.querySelector(%s) !== null", quote(selector)))
	p.eval(fmt.Sprintf("(el => { el.value = %s; for (const e of ['input', 'change']) el.dispatchEvent(new Event(e, {bubbles: true})) })(document.querySelector(%s))", quote(value), quote(selector)))
}

// opens goes to a view.
func (p *page) opens(view string) {
	p.t.Helper()
	p.eval("location.hash = '#/" + view + "'")
	p.sees(fmt.Sprintf("document.querySelector('.nav [aria-current]')?.dataset.view === %s && document.querySelector('.stage h1') !== null", quote(view)))
}

func (p *page) login(token string) {
	p.t.Helper()
	p.sees("document.activeElement?.id === 'token'")
	if err := p.b.Type(token); err != nil {
		p.t.Fatal(err)
	}
}

// clean wants that the page threw nothing, and that its policy stopped nothing.
func (p *page) clean() {
	p.t.Helper()
	p.eval("0") // reads what is under way
	for _, e := range p.b.Errors {
		if !strings.Contains(e, "401 (Unauthorized)") && !strings.Contains(e, "403 (Forbidden)") { // the browser's own words for what the test provokes
			p.t.Errorf("the page: %s", e)
		}
	}
	p.b.Errors = nil
}

// check lets axe-core look at the page as it is.
func (p *page) check(what string) {
	p.t.Helper()
	if p.eval("typeof axe") != "object" {
		if _, err := p.b.Eval(axe + "; 0"); err != nil {
			p.t.Fatal(err)
		}
	}
	found := p.eval(`axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
		.then((r) => JSON.stringify(r.violations.map((v) => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' ' + (n.any[0]?.message ?? '')).join(' | '))))`)
	var violations []string
	if err := json.Unmarshal([]byte(found.(string)), &violations); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range violations {
		p.t.Errorf("%s: %s", what, v)
	}
}

// quote writes a string as JavaScript reads it.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}
