package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"chatrelay/test/process"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// TestAlerts: Debian's Prometheus watches a relay by the rules of deploy/prometheus, in which minutes are seconds. What they are
// for happens, they fire, and are silent again once it is mended.
func TestAlerts(t *testing.T) {
	if !full {
		t.Skip("make chaos has it; make test has the rules alone (deploy/prometheus)")
	}
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{}, "5")
	r.Relay.Stop()
	r.Relay.Set("STORE_MAX_BYTES", "4MiB")
	r.Relay.Start()
	p := watched(t, strings.TrimPrefix(r.Relay.URL(), "http://"))
	time.Sleep(2 * aWhile) // whoever fires without a reason does so now
	p.until(t, "all is well", nil)

	r.must(r.MQTT.SetACL(mayNotOne))
	r.until("a sender knows", stage.WaitLimit, func() bool { // the broker may not have read it yet
		r.sendTo("1003", 0)
		return r.count(r.ids, failed) > 0
	})
	p.until(t, "one inbox is denied", []string{"ChatrelayDeadLetters", "ChatrelayNoRight"})
	r.must(r.MQTT.SetACL(mayAll))
	p.until(t, "it is not any more", nil)

	r.must(r.MQTT.SetACL(mayRead))
	r.until("it says what is wrong", 15*time.Second, func() bool {
		r.send(0)
		return r.unready()
	})
	p.until(t, "all inboxes are", []string{"ChatrelayNotReady", "ChatrelaySideDown"})
	r.must(r.MQTT.SetACL(mayAll))
	p.until(t, "they are not any more", nil)

	r.must(r.MQTT.Stop())
	p.until(t, "the broker is away", []string{"ChatrelayNotReady", "ChatrelaySideDown"})
	for range 30 { // one sender gets half of the journal
		r.send(100_000)
	}
	r.until("they wait", stage.WaitLimit, func() bool { return r.Relay.Status().Counts["pending"] >= 15 })
	for i, name := range []string{"1002", "1003", "1004"} { // and each other one a quarter
		for n := range 20 {
			e := stage.Direct(name, []string{"1003", "1004", "1001"}[i], fmt.Sprint(n, strings.Repeat("x", 100_000)))
			r.must(r.Person(name).X.Send(r.Receiver(), "chat", "", e.String()))
		}
	}
	p.until(t, "the journal is full", []string{"ChatrelayFilling", "ChatrelayFull", "ChatrelayNotReady", "ChatrelaySideDown"})
	r.must(r.MQTT.Start())
	p.until(t, "the broker is back", nil)
}

// aWhile is what a quarter of an hour is here.
const aWhile = 6 * time.Second

// hurried are the rules, with their waits cut short.
func hurried(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../deploy/prometheus/chatrelay.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`for: \d+m`).ReplaceAllString(string(b), "for: 1s")
	return regexp.MustCompile(`offset 15m`).ReplaceAllString(text, fmt.Sprintf("offset %v", aWhile))
}

// prometheus runs until the test ends.
type prometheus struct{ addr string }

func watched(t *testing.T, relay string) prometheus {
	t.Helper()
	p, dir := prometheus{servers.FreeAddr(t)}, t.TempDir()
	config := `
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [rules.yaml]
scrape_configs: [{job_name: chatrelay, static_configs: [{targets: ["` + relay + `"]}]}]
`
	for name, text := range map[string]string{"rules.yaml": hurried(t), "prometheus.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(dir, "log")
	running, err := process.Start(exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.addr), log)
	if err != nil {
		t.Fatalf("%v (scripts/deps chaos installs it)", err)
	}
	t.Cleanup(func() {
		if err := running.End(syscall.SIGTERM, stage.WaitLimit); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("prometheus:\n%s", b)
		}
	})
	return p
}

// firing are the names of the alerts that fire, but for the one that measures this machine; none can be told as long as nothing was
// scraped.
func (p prometheus) firing() ([]string, error) {
	var up struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := p.ask("query?query=up==1", &up); err != nil || len(up.Data.Result) != 1 {
		return nil, fmt.Errorf("the relay was not scraped: %v", err)
	}
	var news struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	err := p.ask("alerts", &news)
	names := []string{}
	for _, a := range news.Data.Alerts {
		if a.State == "firing" && a.Labels["alertname"] != "ChatrelaySlow" {
			names = append(names, a.Labels["alertname"])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

func (p prometheus) ask(what string, answer any) error {
	got, err := http.Get("http://" + p.addr + "/api/v1/" + what)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", what, got.Status)
	}
	return json.NewDecoder(got.Body).Decode(answer)
}

// until waits for exactly these alerts.
func (p prometheus) until(t *testing.T, what string, want []string) {
	t.Helper()
	began := time.Now()
	for {
		names, err := p.firing()
		if err == nil && slices.Equal(names, want) {
			t.Logf("%s: %q after %v", what, names, time.Since(began).Round(100*time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: %q fire, want %q; %v", what, names, want, err)
		}
		time.Sleep(100 * time.Millisecond) // a poll's pause
	}
}
