package console

import (
	"strings"
	"testing"
)

// TestOnlyThePage: what changes something comes from the page itself, whatever cookie it has.
func TestOnlyThePage(t *testing.T) {
	const json = "application/json"
	for name, tt := range map[string]struct {
		site, origin, header, kind string
		post, get                  int
	}{
		"the page":                       {"same-origin", "http://127.0.0.1:8080", "1", json, 200, 200},
		"the page, by plain HTTP":        {"", "http://127.0.0.1:8080", "1", json, 200, 200},
		"behind a proxy":                 {"same-origin", "https://relay.example.org", "1", json, 200, 200},
		"another site":                   {"cross-site", "https://evil.example", "1", json, 403, 403},
		"a neighbour":                    {"same-site", "http://evil.127.0.0.1", "1", json, 403, 403},
		"another port":                   {"same-site", "http://127.0.0.1:9", "1", json, 403, 403},
		"typed in":                       {"none", "", "1", json, 403, 403},
		"another site, by plain HTTP":    {"", "http://evil.example", "1", json, 403, 200},
		"another port, by plain HTTP":    {"", "http://127.0.0.1:9", "1", json, 403, 200},
		"a form":                         {"same-origin", "http://127.0.0.1:8080", "", "application/x-www-form-urlencoded", 403, 200},
		"a script without preflight":     {"same-origin", "http://127.0.0.1:8080", "", "text/plain", 403, 200},
		"our header on a form":           {"same-origin", "http://127.0.0.1:8080", "1", "text/plain", 403, 200},
		"says nothing of where it is of": {"", "", "1", json, 403, 200},
		"a file":                         {"", "null", "1", json, 403, 200},
	} {
		k := newKit(t)
		cookie := k.login(operatorToken)
		for body, want := range map[string]int{`{"refs":["1.0"]}`: tt.post, "": tt.get} {
			path := map[bool]string{true: "api/dead/drop", false: "api/settings"}[body != ""]
			r := fromThePage(path, body)
			r.AddCookie(cookie)
			for header, value := range map[string]string{"Sec-Fetch-Site": tt.site, "Origin": tt.origin, ours: tt.header, "Content-Type": tt.kind} {
				r.Header.Del(header)
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			if res := k.do(r); res.StatusCode != want {
				t.Errorf("%s, %s: %d, want %d", name, r.Method, res.StatusCode, want)
			}
		}
		if len(k.done) > 0 != (tt.post == 200) {
			t.Errorf("%s: done %q", name, k.done)
		}
	}
}

// TestNames: a name that was made to point here is not answered (DNS rebinding).
func TestNames(t *testing.T) {
	k := newKit(t)
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "localhost": 200, "LOCALHOST:80": 200, "[::1]:8080": 200, "[2001:db8::1]": 200, "192.168.1.5:8080": 200,
		"relay.example.org": 200, "Relay.Example.org:443": 200, "relay.example.org.": 200, "dotted.example": 200,
		"evil.example:8080": 421, "relay.example.org.evil.example": 421, "evil-relay.example.org": 421, "127.0.0.1.evil.example": 421, "": 421, "localhost.evil.example": 421,
	} {
		for _, path := range []string{"", "page/main.js", "api/session"} {
			r := fromThePage(path, "")
			r.Host = host
			if res := k.do(r); res.StatusCode != want {
				t.Errorf("%q /console/%s: %d, want %d", host, path, res.StatusCode, want)
			}
		}
	}
}

// TestHeaders: each answer has them, an error's too.
func TestHeaders(t *testing.T) {
	k := newKit(t)
	for _, path := range []string{"", "page/main.js", "page/icon.svg", "api/session", "api/settings", "api/nothing"} {
		h := k.as(nil, path, "").Header
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || strings.Contains(csp, "*") || strings.Contains(csp, "data:") {
			t.Errorf("%s: the policy is %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
}
