package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// policy lets the page load and reach nothing but its own files, be shown in no other page, and make no markup of text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// headers are those of each answer.
func headers(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// guard answers only who asks for the console by one of its names, and sets the headers.
func (c *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers(w.Header())
		if !c.named(r.Host) {
			fail(w, http.StatusMisdirectedRequest, "unknown_host", "the console is not asked for by this name: add it to CHATRELAY_CONSOLE_HOSTS")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// named tells whether the console may be asked for by this name. A plain address is always right: no page of another
// name can have it for its origin.
func (c *Console) named(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host == "localhost" || slices.ContainsFunc(c.cfg.Hosts, func(h string) bool { return strings.TrimSuffix(h, ".") == host })
}

// ours is a header that only a script of the page's own origin can send without asking first (the Fetch standard's CORS preflight).
const ours = "Chatrelay-Console"

// fromPage tells whether the page itself sends the request, beside what the cookie's SameSite says. A browser says
// where it comes from in one way or the other; what says nothing is not from the page.
func fromPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	if r.Method == http.MethodGet {
		return true // answers are kept from other origins by the browser; nothing is changed
	}
	if r.Header.Get(ours) == "" || r.Header.Get("Content-Type") != "application/json" {
		return false
	}
	if r.Header.Get("Sec-Fetch-Site") != "" {
		return true
	}
	// Browsers leave Sec-Fetch-Site out where the page came by plain HTTP over the network.
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && strings.EqualFold(origin.Host, r.Host)
}

// fromHere wraps what only the page may ask for.
func fromHere(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !fromPage(r) {
			fail(w, http.StatusForbidden, "foreign", "only the console's own page may ask for this")
			return
		}
		next(w, r)
	}
}

// peer is who asks, or whose proxy.
func peer(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
