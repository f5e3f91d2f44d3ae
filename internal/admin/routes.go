package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (s *Server) handler() (http.Handler, error) {
	registry, err := s.registry()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		DisableCompression: true, // it costs more memory for each connection than all the rest
	}))
	mux.HandleFunc("GET /statusz", s.guarded(s.statusz))
	mux.HandleFunc("GET /trace", s.guarded(s.trace))
	mux.HandleFunc("GET /dead", s.guarded(s.list))
	mux.HandleFunc("POST /dead/requeue", s.guarded(s.changeSome("requeued", s.cfg.Dead.RequeueSome)))
	mux.HandleFunc("POST /dead/drop", s.guarded(s.changeSome("dropped", s.cfg.Dead.DropSome)))
	mux.HandleFunc("POST /dead/{ref}/requeue", s.guarded(s.change("requeued", s.cfg.Dead.Requeue)))
	mux.HandleFunc("POST /dead/{ref}/drop", s.guarded(s.change("dropped", s.cfg.Dead.Drop)))
	if s.cfg.Console != nil {
		mux.Handle("/console/", s.cfg.Console)
		mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusFound))
	}
	// A page in the operator's browser must not be able to post here.
	protected := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, mostBody)
		protected.ServeHTTP(w, r)
	}), nil
}

// guarded asks for the token where one is set: on loopback, too, as who asks there may be another user, or a proxy
// that asks for others. Without one it answers to this machine only.
func (s *Server) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.cfg.Token == nil && s.local(r):
		case s.cfg.Token == nil:
			fail(w, http.StatusForbidden, "set CHATRELAY_HTTP_TOKEN, or ask on the relay's own machine (in its container) and by no proxy: without a token this is not shown to others")
			return
		case !s.allowed(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="chatrelay"`)
			fail(w, http.StatusUnauthorized, "send the token of CHATRELAY_HTTP_TOKEN as Authorization: Bearer …")
			return
		}
		next(w, r)
	}
}

// local tells whether this machine asks, for itself. The name that was asked for must be loopback's: a foreign name that
// was made to point here (DNS rebinding) comes from a web page.
func (s *Server) local(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	near := s.cfg.Loopback || err == nil && peer.Addr().Unmap().IsLoopback()
	return near && localName(r.Host) && !Forwarded(r.Header)
}

// Forwarded tells whether a proxy asks for somebody else (RFC 7239, RFC 9110 §7.6.3, and what is customary).
func Forwarded(h http.Header) bool {
	for name := range h {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}

// allowed compares hashes, so that neither content nor length of the token shows in the time it takes.
func (s *Server) allowed(r *http.Request) bool {
	want, err := s.cfg.Token()
	if err != nil {
		s.cfg.Log.Error().Err(err).Msg("the token of the status page cannot be read (CHATRELAY_HTTP_TOKEN_FILE)")
		return false
	}
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return strings.EqualFold(scheme, "Bearer") && want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
