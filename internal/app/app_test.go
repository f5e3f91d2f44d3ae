package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"chatrelay/configs"
)

func TestExitCode(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"fine":          {nil, 0},
		"failure":       {errors.New("x"), 1},
		"forced":        {fmt.Errorf("x: %w", errForced), 1},
		"configuration": {fmt.Errorf("x: %w", configs.Problems{{}}), 2},
		"usage":         {fmt.Errorf("%w: x", errUsage), 2},
	} {
		if got := ExitCode(tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func TestLogger(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg      configs.Log
		terminal bool
		json     bool
		lines    int
	}{
		"auto to a file":     {configs.Log{Level: "info", Format: "auto"}, false, true, 3},
		"auto to a terminal": {configs.Log{Level: "info", Format: "auto"}, true, false, 3},
		"json to a terminal": {configs.Log{Level: "info", Format: "json"}, true, true, 3},
		"console to a file":  {configs.Log{Level: "info", Format: "console"}, false, false, 3},
		"debug":              {configs.Log{Level: "debug", Format: "json"}, false, true, 4},
		"error":              {configs.Log{Level: "error", Format: "json"}, false, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			log, err := logger(&tt.cfg, &out, tt.terminal)
			if err != nil {
				t.Fatal(err)
			}
			log.Debug().Msg("d")
			log.Info().Str("forged", "x\n{\"level\":\"error\"}\x1b[2J").Msg("i")
			log.Warn().Msg("w")
			log.Error().Msg("e")
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) != tt.lines || strings.Contains(out.String(), "\x1b[2J") {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), tt.lines, out.String())
			}
			if !tt.json {
				return
			}
			for _, line := range lines {
				var event struct{ Level, Time, Message string }
				if err := json.Unmarshal([]byte(line), &event); err != nil || event.Level == "" {
					t.Fatalf("%v in %s", err, line)
				}
				if at, err := time.Parse("2006-01-02T15:04:05.000Z", event.Time); err != nil || time.Since(at).Abs() > time.Minute {
					t.Errorf("time %q, %v", event.Time, err)
				}
			}
		})
	}
	if _, err := logger(&configs.Log{Level: "loud"}, nil, false); err == nil {
		t.Error("a level that is none was taken")
	}
}

func TestSignals(t *testing.T) {
	ctx, force, release := signals()
	send := func() {
		t.Helper()
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	send()
	<-ctx.Done()
	select {
	case <-force:
		t.Fatal("one signal is no second one")
	default:
	}
	send()
	<-force
	release()
	ctx, _, release = signals()
	release() // without a signal: nothing is left behind
	<-ctx.Done()
}

func TestHealth(t *testing.T) {
	code := http.StatusOK
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
		fmt.Fprint(w, "it\nsays why")
	}))
	addr := page.Listener.Addr().String()
	ask := func(env ...string) (string, error) {
		var out strings.Builder
		err := Health(Process{Environ: env, Out: &out})
		return out.String(), err
	}
	// Nothing but the address is needed of the environment.
	if out, err := ask("CHATRELAY_HTTP_ADDR=" + addr); err != nil || out != "alive\n" {
		t.Errorf("alive: %q, %v", out, err)
	}
	code = http.StatusServiceUnavailable
	if _, err := ask("CHATRELAY_HTTP_ADDR=" + addr); ExitCode(err) != ExitFailure || !strings.Contains(err.Error(), "it says why") {
		t.Errorf("unwell: %v", err)
	}
	page.Close()
	if _, err := ask("CHATRELAY_HTTP_ADDR=" + addr); ExitCode(err) != ExitFailure || !strings.Contains(err.Error(), "CHATRELAY_HTTP_ADDR") {
		t.Errorf("gone: %v", err)
	}
	if _, err := ask("CHATRELAY_HTTP_ADDR=x"); ExitCode(err) != ExitConfiguration {
		t.Errorf("no address: %v", err)
	}
	if err := Health(Process{Args: []string{"x"}}); ExitCode(err) != ExitConfiguration {
		t.Errorf("an argument: %v", err)
	}
}

func TestDialable(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.1:1", "0.0.0.0:1": "127.0.0.1:1", ":1": "localhost:1", "[::]:1": "[::1]:1", "host:1": "host:1", "10.0.0.1:1": "10.0.0.1:1",
	} {
		if got := dialable(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
