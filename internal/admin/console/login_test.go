package console

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLogin: what is given for a token.
func TestLogin(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		code int
		says string
	}{
		"operator":          {`{"token":"` + operatorToken + `"}`, 200, "operator"},
		"reader":            {`{"token":"` + readerToken + `"}`, 200, "reader"},
		"wrong":             {`{"token":"x"}`, 401, "wrong_token"},
		"none":              {`{}`, 401, "wrong_token"},
		"its beginning":     {`{"token":"` + operatorToken[:18] + `"}`, 401, "wrong_token"},
		"and more":          {`{"token":"` + operatorToken + `0"}`, 401, "wrong_token"},
		"no JSON":           {`token=x`, 400, "bad_request"},
		"another field":     {`{"token":"x","role":"operator"}`, 400, "bad_request"},
		"as long as a book": {`{"token":"` + strings.Repeat("x", mostBody) + `"}`, 400, "bad_request"},
	} {
		k := newKit(t)
		res := k.do(fromThePage("api/login", tt.body))
		got := readAnswer(t, res)
		if res.StatusCode != tt.code || got["role"] != tt.says && got["error"] != tt.says || len(res.Cookies()) > 0 != (tt.code == 200) {
			t.Errorf("%s: %d %v %v, want %d %s", name, res.StatusCode, got, res.Cookies(), tt.code, tt.says)
		}
		if log := k.log.String(); strings.Contains(log, "0123456789") || log == "" && tt.code != 400 {
			t.Errorf("%s: the log says %q", name, log)
		}
	}
}

// TestCookie: no script reads it, no other site's page makes a browser send it, and by HTTPS it stays there.
func TestCookie(t *testing.T) {
	k := newKit(t)
	r := fromThePage("api/login", `{"token":"`+operatorToken+`"}`)
	plain := k.login(operatorToken)
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Host = "relay.example.org"
	secure := k.do(r).Cookies()[0]
	for _, c := range []*http.Cookie{plain, secure} {
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/console/" || c.Domain != "" || len(c.Value) < 26 || c.MaxAge != 12*3600 {
			t.Errorf("%+v", c)
		}
	}
	if plain.Secure || !secure.Secure || plain.Name != "chatrelay_console_8080" || secure.Name != "chatrelay_console_0" || plain.Value == secure.Value {
		t.Errorf("%+v\n%+v", plain, secure)
	}
}

// TestRoles: who may ask for what.
func TestRoles(t *testing.T) {
	k := newKit(t)
	k.dead = letters(3)
	operator, reader := k.login(operatorToken), k.login(readerToken)
	forged := &http.Cookie{Name: operator.Name, Value: "operator"}
	for _, tt := range []struct {
		path, body               string
		nobody, reader, operator int
	}{
		{"", "", 200, 200, 200},
		{"page/main.js", "", 200, 200, 200},
		{"page/", "", 404, 404, 404},
		{"page/index.html", "", 404, 404, 404},
		{"page/../console.go", "", 307, 307, 307},
		{"api/session", "", 200, 200, 200},
		{"api/settings", "", 401, 200, 200},
		{"api/deliveries?state=dead&limit=1", "", 401, 200, 200},
		{"api/dead/count", "", 401, 200, 200},
		{"api/dead/drop", `{"refs":["1.0"]}`, 401, 403, 200},
		{"api/dead/requeue", `{"all":true}`, 401, 403, 200},
		{"api/dead/drop", "", 405, 405, 405},
		{"api/login", "", 405, 405, 405},
		{"api/nothing", "", 404, 404, 404},
	} {
		for i, who := range []struct {
			cookie *http.Cookie
			want   int
		}{{nil, tt.nobody}, {forged, tt.nobody}, {reader, tt.reader}, {operator, tt.operator}} {
			if res := k.as(who.cookie, tt.path, tt.body); res.StatusCode != who.want {
				t.Errorf("%d %s %s: %d, want %d", i, tt.path, tt.body, res.StatusCode, who.want)
			}
		}
	}
	if got := fmt.Sprint(k.done); got != "[drop 1.0 requeue all=true]" {
		t.Errorf("done: %s", got)
	}
	if got := readAnswer(t, k.as(nil, "api/session", ""))["role"]; got != "" {
		t.Errorf("nobody is %v", got)
	}
}

// TestSessionEnds: by its time, by logging out, by another token, by too many others.
func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(*kit, *http.Cookie){
		"time":    func(k *kit, _ *http.Cookie) { k.now = k.now.Add(sessionLife) },
		"log out": func(k *kit, c *http.Cookie) { k.as(c, "api/logout", "{}") },
		"token":   func(k *kit, _ *http.Cookie) { k.operator = "another-0123456789" },
		"new login there": func(k *kit, c *http.Cookie) {
			k.as(c, "api/login", `{"token":"`+operatorToken+`"}`)
		},
		"others": func(k *kit, _ *http.Cookie) {
			for range mostSessions {
				k.now = k.now.Add(time.Second)
				k.login(operatorToken)
			}
		},
	} {
		k := newKit(t)
		c := k.login(operatorToken)
		k.now = k.now.Add(time.Second)
		if res := k.as(c, "api/settings", ""); res.StatusCode != 200 {
			t.Fatalf("%s: %d", name, res.StatusCode)
		}
		end(k, c)
		if res := k.as(c, "api/settings", ""); res.StatusCode != 401 || readAnswer(t, res)["error"] != "no_session" {
			t.Errorf("%s: the session is still good", name)
		}
		if n := len(k.c.sessions.by); n > mostSessions {
			t.Errorf("%s: %d sessions", name, n)
		}
	}
}

// TestReadersEndNoOperator: however often they log in.
func TestReadersEndNoOperator(t *testing.T) {
	k := newKit(t)
	c := k.login(operatorToken)
	for range 3 * mostSessions {
		k.now = k.now.Add(time.Second)
		k.login(readerToken)
	}
	if res := k.as(c, "api/settings", ""); res.StatusCode != 200 || len(k.c.sessions.by) != mostSessions+1 {
		t.Errorf("%d, %d sessions", res.StatusCode, len(k.c.sessions.by))
	}
}

// TestTokenUnreadable: nobody is taken for somebody, a session outlives it, and the other token is as good as ever.
func TestTokenUnreadable(t *testing.T) {
	for _, text := range []string{"", "cut short"} {
		k := newKit(t)
		c := k.login(operatorToken)
		k.operator = text
		for path, body := range map[string]string{"api/login": `{"token":"` + text + `"}`, "api/settings": "", "api/session": ""} {
			if res := k.as(c, path, body); res.StatusCode != 503 || readAnswer(t, res)["error"] != "no_token" {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
		if res := k.as(k.login(readerToken), "api/settings", ""); res.StatusCode != 200 {
			t.Errorf("the other token: %d", res.StatusCode)
		}
		k.operator = operatorToken
		if res := k.as(k.login(operatorToken), "api/settings", ""); res.StatusCode != 200 {
			t.Errorf("afterwards: %d", res.StatusCode)
		}
	}
}

// TestGuessing: who guesses is slowed down; nobody else is.
func TestGuessing(t *testing.T) {
	k := newKit(t)
	try := func(from, token string) *http.Response {
		r := fromThePage("api/login", `{"token":"`+token+`"}`)
		r.RemoteAddr = from
		return k.do(r)
	}
	const guesser = "[2001:db8::1]:1"
	for range 20 { // those who are right pay nothing
		if res := try(guesser, readerToken); res.StatusCode != 200 {
			t.Fatalf("right: %d", res.StatusCode)
		}
	}
	for range triesOfOne {
		if res := try(guesser, "wrong"); res.StatusCode != 401 {
			t.Fatalf("wrong: %d", res.StatusCode)
		}
	}
	for _, from := range []string{guesser, "[2001:db8::ffff]:2"} { // one network
		if res := try(from, operatorToken); res.StatusCode != 429 || res.Header.Get("Retry-After") != "10" {
			t.Errorf("%s, too many: %d %q", from, res.StatusCode, res.Header.Get("Retry-After"))
		}
	}
	if res := try("[2001:db8:0:1::1]:1", operatorToken); res.StatusCode != 200 {
		t.Errorf("another network: %d", res.StatusCode)
	}
	k.now = k.now.Add(oneAgain)
	if first, second := try(guesser, "wrong").StatusCode, try(guesser, operatorToken).StatusCode; first != 401 || second != 429 {
		t.Errorf("later: %d, %d", first, second)
	}
	if n := strings.Count(k.log.String(), "were refused"); n != 2 {
		t.Errorf("%d lines of the log about refused logins:\n%s", n, k.log.String())
	}
}

// TestManyGuess: all together are limited, but for who asks on this machine itself; and the table of them is.
func TestManyGuess(t *testing.T) {
	var a attempts
	now := time.Now()
	nth := func(i int) origin {
		return origin{net: network(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))}
	}
	passed := 0
	for i := range 1000 {
		if a.take(nth(i), now) == 0 {
			passed++
		}
	}
	if passed != triesOfAll {
		t.Errorf("%d passed", passed)
	}
	for _, here := range []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
		if a.take(originOf(&http.Request{RemoteAddr: here}), now) != 0 {
			t.Errorf("%s is held up by others", here)
		}
	}
	for i := range 2 * mostGuesser {
		now = now.Add(allAgain)
		a.take(nth(i), now)
		if len(a.by) > mostGuesser {
			t.Fatalf("%d are remembered", len(a.by))
		}
	}
}

// TestProxy: who guesses through a proxy holds up neither who asks on the proxy's machine, nor whom it names else.
func TestProxy(t *testing.T) {
	k := newKit(t)
	try := func(token, forwarded string) int {
		r := fromThePage("api/login", `{"token":"`+token+`"}`)
		r.RemoteAddr = "127.0.0.1:4711"
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		return k.do(r).StatusCode
	}
	for i := range triesOfOne + 1 {
		if got, want := try("wrong", fmt.Sprintf("192.0.2.%d, 203.0.113.9", i)), map[bool]int{true: 401, false: 429}[i < triesOfOne]; got != want {
			t.Errorf("attempt %d: %d, want %d", i, got, want)
		}
	}
	for forwarded, want := range map[string]int{"203.0.113.9": 429, "203.0.113.9, 198.51.100.1": 200, "": 200} {
		if got := try(operatorToken, forwarded); got != want {
			t.Errorf("for %q: %d, want %d", forwarded, got, want)
		}
	}
}

// TestGuessingAtOnce: many at once are not more.
func TestGuessingAtOnce(t *testing.T) {
	var a attempts
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed, now := 0, time.Now()
	from := origin{net: network(netip.MustParseAddr("192.0.2.1"))}
	for range 100 {
		wg.Go(func() {
			if a.take(from, now) == 0 {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if passed != triesOfOne {
		t.Errorf("%d passed", passed)
	}
}

// TestRoleOf: a token that is not there is nobody's.
func TestRoleOf(t *testing.T) {
	in := map[Role][32]byte{Reader: sha256.Sum256([]byte("r"))}
	for token, want := range map[string]Role{"r": Reader, "": "", "x": "", strings.Repeat("\x00", 32): ""} {
		if got, _ := roleOf(token, in); got != want {
			t.Errorf("%q: %q, want %q", token, got, want)
		}
	}
}
