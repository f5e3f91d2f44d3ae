package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

// libraries are what npm installs, as the page asks for them and as they are named in node_modules.
var libraries = map[string]string{
	"/lib/strophe.js":   "strophe.js/dist/strophe.umd.min.js",
	"/lib/paho-mqtt.js": "paho-mqtt/paho-mqtt-min.js",
}

// converse is where the page asks for the other client: a folder, as it fetches more by itself.
const converse = "/lib/converse/"

func modulePath(root, file string) string {
	return filepath.Join(root, "demo", "node_modules", filepath.FromSlash(file))
}

// pageConfig is what the page has to know.
type pageConfig struct {
	Run        string   `json:"run"` // names this run of the demo
	XMPPURL    string   `json:"xmppURL"`
	MQTTURL    string   `json:"mqttURL"`
	Domain     string   `json:"domain"`
	RelayJID   string   `json:"relayJID"`
	Component  string   `json:"component"` // where phones are people
	Prefix     string   `json:"prefix"`
	TextPrefix string   `json:"textPrefix"`
	People     []person `json:"people"`
	Friend     person   `json:"friend"`
	Groups     []group  `json:"groups"`
	Command    string   `json:"command"` // publishes into an inbox, to be tried in a terminal
}

// page is the web server of the chat page.
type page struct {
	addr   string
	server *http.Server
	done   chan struct{} // closed once the server has ended
}

func servePage(s *stage, port int) (*page, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("the page: %w; another port: -port", err)
	}
	p := &page{addr: l.Addr().String(), done: make(chan struct{})}
	p.server = &http.Server{Handler: p.handler(s), ReadHeaderTimeout: 5 * time.Second}
	go func() { // Close waits for it
		defer close(p.done)
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "demo: the page:", err)
		}
	}()
	return p, nil
}

// URL is the page's address.
func (p *page) URL() string { return "http://" + p.addr + "/" }

// Close ends the server.
func (p *page) Close() error {
	err := p.server.Close()
	<-p.done
	return err
}

func (p *page) handler(s *stage) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, web, "web/index.html") })
	mux.Handle("GET /web/", http.FileServerFS(web))
	mux.HandleFunc("GET /client", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, web, "web/client.html") })
	mux.Handle("GET "+converse, http.StripPrefix(converse, http.FileServer(http.Dir(modulePath(s.root, "converse.js/dist")))))
	for path, file := range libraries {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, modulePath(s.root, file)) })
	}
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.pageConfig()) })
	all := s.relays()
	mux.HandleFunc("GET /relay", func(w http.ResponseWriter, r *http.Request) { answerState(w, r, all, nil) })
	mux.HandleFunc("POST /relay/kill", func(w http.ResponseWriter, r *http.Request) { answerState(w, r, all, all.Kill()) })
	mux.HandleFunc("POST /relay/start", func(w http.ResponseWriter, r *http.Request) { answerState(w, r, all, all.launch()) })
	var cross http.CrossOriginProtection // other sites must not stop the relay
	return p.guard(s, cross.Handler(mux))
}

// guard answers only to the page's own name (else another site could make a name of its own mean
// 127.0.0.1) and lets the page load and reach nothing but what it needs.
func (p *page) guard(s *stage, next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(p.addr) // a listener's own
	policy := func(more ...string) string {
		return strings.Join(append(more, "default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'"), "; ")
	}
	ours := policy("style-src 'self'", "img-src 'self'", "connect-src 'self' "+s.chat.WSURL+" "+s.broker.WSURL, "frame-src 'self'", "frame-ancestors 'none'")
	theirs := policy("style-src 'self' 'unsafe-inline'", "img-src 'self' data:", "font-src 'self'", "connect-src 'self' "+s.chat.WSURL, "frame-ancestors 'self'")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != p.addr && r.Host != "localhost:"+port {
			http.Error(w, "this page is at "+p.URL(), http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", ours)
		if r.URL.Path == "/client" {
			h.Set("Content-Security-Policy", theirs)
		}
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *stage) pageConfig() pageConfig {
	return pageConfig{
		Run: s.broker.Dir, XMPPURL: s.chat.WSURL, MQTTURL: s.broker.WSURL,
		Domain: domain, RelayJID: s.chat.JID(account), Component: s.chat.Component, Prefix: prefix, TextPrefix: textPrefix,
		People: people, Friend: friend, Groups: groups, Command: s.pubCommand(),
	}
}

// pubCommand is a shell command that writes to Ben as the door bell.
func (s *stage) pubCommand() string {
	host, port, _ := net.SplitHostPort(s.broker.Addr) // made by the servers package
	return fmt.Sprintf(`mosquitto_pub -h %s -p %s -u %s -P %s -q 2 -t %s/1002 \
  -m "{\"chatType\":1,\"contentType\":0,\"from\":\"2000\",\"to\":\"1002\",\"name\":\"Door\",\"content\":\"Ding dong\",\"timeStamp\":$(date +%%s%%3N)}"`,
		host, port, backendUser, password(backendUser), prefix)
}

func answerState(w http.ResponseWriter, r *http.Request, all relays, err error) {
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, map[string]string{"error": err.Error(), "state": "unknown"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	writeJSON(w, http.StatusOK, map[string]string{"state": all.State(ctx)})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the page asks again
}
