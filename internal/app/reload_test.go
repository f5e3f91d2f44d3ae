package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"chatrelay/configs"
	"chatrelay/mqttside"
	"chatrelay/test/servers"
	"chatrelay/xmppside"
)

// A table that is emptied in place is not taken for one without rows at once: whoever writes into the file itself empties it
// first. One that is put into its place counts.
func TestEmptiedTable(t *testing.T) {
	const rows = "team@conference.chat.test,1001\n"
	type step struct {
		do    func(file string) error
		wait  time.Duration
		want  int64 // rooms in force afterwards
		lines int64 // error lines until then
	}
	write := func(text string) func(string) error {
		return func(file string) error { return os.WriteFile(file, []byte(text), 0o600) } // in place
	}
	swap := func(text string) func(string) error {
		return func(file string) error {
			return errors.Join(os.WriteFile(file+".next", []byte(text), 0o600), os.Rename(file+".next", file))
		}
	}
	for name, steps := range map[string][]step{
		"emptied for a moment":      {{write(""), 4 * time.Second, 1, 1}, {write(rows + "hall@conference.chat.test,1002\n"), 3 * time.Second, 2, 1}},
		"emptied for good":          {{write(""), 5 * time.Second, 1, 1}, {nil, 4 * time.Second, 0, 1}, {nil, time.Minute, 0, 1}},
		"emptied twice":             {{write(""), 4 * time.Second, 1, 1}, {write(rows), 3 * time.Second, 1, 1}, {write(""), 4 * time.Second, 1, 2}, {nil, 6 * time.Second, 0, 2}},
		"an empty one in its place": {{swap(""), 3 * time.Second, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "groups.csv")
			if err := write(rows)(file); err != nil {
				t.Fatal(err)
			}
			c, err := configs.Load([]string{"CHATRELAY_XMPP_JID=receiver@chat.test", "CHATRELAY_XMPP_PASSWORD=x", "CHATRELAY_GROUPS_FILE=" + file})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				var rooms, lines atomic.Int64
				rooms.Store(int64(len(c.Groups)))
				now := prints(c.Watched())
				log := zerolog.New(io.Discard).Hook(zerolog.HookFunc(func(_ *zerolog.Event, level zerolog.Level, _ string) {
					if level == zerolog.ErrorLevel {
						lines.Add(1)
					}
				}))
				r := &reloader{cfg: &c, log: log, hup: make(chan os.Signal, 1), tried: now, inForce: now,
					apply: func(f configs.Files) { rooms.Store(int64(len(f.Groups))) }}
				ctx, cancel := context.WithCancel(t.Context())
				go func() { _ = r.run(ctx) }() // ends with ctx, before the bubble
				for i, s := range steps {
					if s.do != nil {
						if err := s.do(file); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(s.wait + lookEvery/2)
					synctest.Wait()
					if rooms.Load() != s.want || lines.Load() != s.lines {
						t.Errorf("step %d: %d rooms, %d error lines; want %d, %d", i, rooms.Load(), lines.Load(), s.want, s.lines)
					}
				}
				cancel()
			})
		})
	}
}

// TestRenewedAuthority: new TLS files count from the next connection on, on both sides.
func TestRenewedAuthority(t *testing.T) {
	broker, xmpp := servers.NewMosquitto(t, servers.MosquittoConfig{TLS: true}), servers.NewProsody(t, servers.XMPPConfig{})
	other, err := servers.MakeCerts(t.TempDir(), "x", "chat.test")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca, caXMPP := filepath.Join(dir, "mqtt.crt"), filepath.Join(dir, "xmpp.crt")
	put := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(other.CAFile, ca)
	put(other.CAFile, caXMPP)
	c, err := configs.Load([]string{"CHATRELAY_MQTT_URL=" + broker.TLSURL, "CHATRELAY_MQTT_CA_FILE=" + ca, "CHATRELAY_XMPP_JID=" + xmpp.JID("receiver"),
		"CHATRELAY_XMPP_PASSWORD=" + xmpp.Password("receiver"), "CHATRELAY_XMPP_ADDR=" + xmpp.Addr, "CHATRELAY_XMPP_CA_FILE=" + caXMPP})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{}
	r.files.Store(&c.Files)
	var log bytes.Buffer
	again, done := newReloader(&c, zerolog.New(&log))
	defer done()
	again.apply = func(f configs.Files) { r.files.Store(&f) }
	mc, err1 := mqttConfig(&c, r.files.Load, zerolog.Nop())
	xc, err2 := xmppConfig(&c, r.files.Load, "", zerolog.Nop())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	logins := func() []bool {
		var out []bool
		for _, s := range mqttside.Check(t.Context(), mc) {
			if strings.Contains(s.Name, "login") {
				out = append(out, s.OK)
			}
		}
		for _, s := range xmppside.Check(t.Context(), xc) {
			if strings.Contains(s.Name, "login") {
				out = append(out, s.OK)
			}
		}
		return out
	}
	if diff := cmp.Diff([]bool{false, false}, logins()); diff != "" {
		t.Fatal(diff)
	}
	put(broker.CAFile, ca)
	put(xmpp.CAFile, caXMPP)
	again.read("SIGHUP", prints(c.Watched()))
	if diff := cmp.Diff([]bool{true, true}, logins()); diff != "" {
		t.Errorf("%s%s", diff, log.String())
	}
	put(os.DevNull, ca) // holds no certificate: what was read stays in force
	again.read("SIGHUP", prints(c.Watched()))
	if diff := cmp.Diff([]bool{true, true}, logins()); diff != "" {
		t.Error(diff)
	}
	var line struct{ Level, Error, Fix string }
	if err := json.Unmarshal(bytes.TrimSpace(log.Bytes()[bytes.IndexByte(log.Bytes(), '\n'):]), &line); err != nil || line.Level != "error" || line.Fix == "" ||
		!strings.Contains(line.Error, "CHATRELAY_MQTT_CA_FILE") {
		t.Errorf("%+v, %v: %s", line, err, log.String())
	}
}
