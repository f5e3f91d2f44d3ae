// Package chromium drives a headless Chromium with one page, by the DevTools protocol: for the demo's check and the
// console's test.
package chromium

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"chatrelay/test/process"
)

// Names are those that the program may have.
func Names() []string {
	return []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
}

const (
	ready       = 40 * time.Second
	stop        = 5 * time.Second
	callTimeout = 30 * time.Second
	pollEvery   = 40 * time.Millisecond
)

// Browser is a Chromium with one page. One goroutine uses it.
type Browser struct {
	Errors []string // what the page threw or logged as an error

	run    *process.Process
	conn   *websocket.Conn
	lastID int
}

// Start starts the program at path with a profile of its own in dir.
func Start(ctx context.Context, path, dir string) (*Browser, error) {
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-background-timer-throttling", "--hide-scrollbars", "--remote-debugging-port=0",
		"--user-data-dir="+filepath.Join(dir, "profile"), "about:blank")
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir)
	run, err := process.Start(cmd, filepath.Join(dir, "chromium.log"))
	if err != nil {
		return nil, fmt.Errorf("start chromium: %w", err)
	}
	b := &Browser{run: run}
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	err = b.await(ctx, filepath.Join(dir, "profile", "DevToolsActivePort"))
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		if err == nil {
			_, err = b.call(domain+".enable", nil)
		}
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "chromium.log")) // shown if there is one
		return nil, errors.Join(fmt.Errorf("start chromium: %w\n%s", err, log), b.Close())
	}
	return b, nil
}

// await connects as soon as it can be done.
func (b *Browser) await(ctx context.Context, portFile string) error {
	for {
		err := b.attach(ctx, portFile)
		if err == nil || !b.run.Running() {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pollEvery):
		}
	}
}

// attach connects to the first page. Chromium writes its port into a file once it listens.
func (b *Browser) attach(ctx context.Context, portFile string) error {
	content, err := os.ReadFile(portFile)
	if err != nil {
		return err
	}
	port, _, _ := strings.Cut(string(content), "\n")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/json/list", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var targets []struct{ Type, WebSocketDebuggerURL string }
	if err := json.NewDecoder(res.Body).Decode(&targets); err != nil {
		return err
	}
	for _, t := range targets {
		if t.Type == "page" {
			b.conn, _, err = websocket.DefaultDialer.DialContext(ctx, t.WebSocketDebuggerURL, nil)
			return err
		}
	}
	return errors.New("no page yet")
}

// Close ends Chromium and all its processes.
func (b *Browser) Close() error {
	if b.conn != nil {
		_ = b.conn.Close() // the process goes next
	}
	return b.run.End(syscall.SIGTERM, stop)
}

// Open loads a page. Times are written the same way on every machine.
func (b *Browser) Open(url string) error {
	if _, err := b.call("Emulation.setLocaleOverride", map[string]any{"locale": "en-GB"}); err != nil {
		return err
	}
	_, err := b.call("Page.navigate", map[string]any{"url": url})
	return err
}

// Look sets the window's size, its pixel density, and the colour scheme the page is asked for.
func (b *Browser) Look(width, height int, density float64, scheme string) error {
	_, err := b.call("Emulation.setDeviceMetricsOverride",
		map[string]any{"width": width, "height": height, "deviceScaleFactor": density, "mobile": false})
	if err != nil {
		return err
	}
	_, err = b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}}})
	return err
}

// Eval runs JavaScript and returns what it, or the promise it gives, came to.
func (b *Browser) Eval(script string) (any, error) {
	raw, err := b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, err
	}
	if e := answer.ExceptionDetails; e != nil {
		return nil, fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	return answer.Result.Value, nil
}

// Type writes into the focused element, as a keyboard does, and presses Enter.
func (b *Browser) Type(text string) error {
	if _, err := b.call("Input.insertText", map[string]any{"text": text}); err != nil {
		return err
	}
	return b.Press("Enter")
}

// keys are those that Press knows, with their codes.
func keys() map[string]int {
	return map[string]int{"Enter": 13, "Tab": 9, "Escape": 27, " ": 32, "End": 35, "Home": 36, "PageDown": 34}
}

// Press presses a key and lets it go.
func (b *Browser) Press(name string) error {
	code, text := keys()[name], map[string]string{"Enter": "\r", " ": " "}[name]
	for _, kind := range []string{"keyDown", "keyUp"} {
		key := map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
		if _, err := b.call("Input.dispatchKeyEvent", key); err != nil {
			return err
		}
	}
	return nil
}

// Screenshot writes a PNG of the window.
func (b *Browser) Screenshot(file string) error {
	raw, err := b.call("Page.captureScreenshot", map[string]any{"format": "png"})
	if err != nil {
		return err
	}
	var shot struct{ Data string }
	if err := json.Unmarshal(raw, &shot); err != nil {
		return err
	}
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}

// call sends one command and reads up to its answer. Errors of the page that pass by are kept.
func (b *Browser) call(method string, params any) (json.RawMessage, error) {
	b.lastID++
	deadline := time.Now().Add(callTimeout)
	if err := errors.Join(b.conn.SetWriteDeadline(deadline), b.conn.SetReadDeadline(deadline)); err != nil {
		return nil, err
	}
	if err := b.conn.WriteJSON(map[string]any{"id": b.lastID, "method": method, "params": params}); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	for {
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := b.conn.ReadJSON(&m); err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case m.ID == b.lastID && m.Error != nil:
			return nil, fmt.Errorf("%s: %s", method, m.Error.Message)
		case m.ID == b.lastID:
			return m.Result, nil
		default:
			b.note(m.Method, m.Params)
		}
	}
}

// note keeps an event that tells of an error.
func (b *Browser) note(method string, params json.RawMessage) {
	var p struct {
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry struct{ Level, Text, URL string }
	}
	if json.Unmarshal(params, &p) != nil {
		return
	}
	switch {
	case method == "Runtime.exceptionThrown":
		b.Errors = append(b.Errors, p.ExceptionDetails.Text+" "+p.ExceptionDetails.Exception.Description)
	case method == "Log.entryAdded" && p.Entry.Level == "error":
		b.Errors = append(b.Errors, p.Entry.Text+" "+p.Entry.URL)
	}
}
