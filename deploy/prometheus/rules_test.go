package prometheus

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	rulesFile = "chatrelay.rules.yaml"
	testFile  = "chatrelay.test.yaml"
	dashboard = "../grafana/chatrelay.json"
)

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if output, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
		t.Fatalf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

// TestRules: they are right, fire when they should, and are silent otherwise.
func TestRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rulesFile)
	promtool(t, "test", "rules", testFile)
}

// TestEveryAlertIsTested: each is seen firing once and silent once.
func TestEveryAlertIsTested(t *testing.T) {
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Exp  []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	decode(t, testFile, &tests)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, one := range tests.Tests {
		for _, a := range one.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Exp) > 0
			silent[a.Name] = silent[a.Name] || len(a.Exp) == 0
		}
	}
	for _, name := range alerts(t) {
		if !fires[name] || !silent[name] {
			t.Errorf("%s: seen firing %v, silent %v", name, fires[name], silent[name])
		}
	}
}

func alerts(t *testing.T) (out []string) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	decode(t, rulesFile, &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if s := r.Labels["severity"]; s != "page" && s != "ticket" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s says too little", r.Alert)
			}
			out = append(out, r.Alert)
		}
	}
	if len(out) < 10 {
		t.Fatalf("%q", out)
	}
	return out
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

type panel struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Title   string `json:"title"`
	Desc    string `json:"description"`
	Targets []struct {
		Expr string `json:"expr"`
		Ref  string `json:"refId"`
	} `json:"targets"`
	Source struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Grid struct{ X, Y, W, H int } `json:"gridPos"`
}

// TestDashboard: every query is one, every panel has a place of its own, and the source of data is chosen where it is shown.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []panel `json:"panels"`
		UID    string  `json:"uid"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		for x := range p.Grid.W {
			for y := range p.Grid.H {
				at := [2]int{p.Grid.X + x, p.Grid.Y + y}
				if taken[at] != "" || at[0] >= 24 {
					t.Errorf("%q lies on %q, or outside", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if ids[p.ID] || p.Title == "" || p.Desc == "" || p.Source.UID != "${source}" || len(p.Targets) == 0 {
			t.Errorf("the panel %q is not whole: %+v", p.Title, p)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h").Replace(q.Expr)
			fmt.Fprintf(&rules, "      - {record: %q, expr: %q}\n", fmt.Sprintf("panel_%d_%s", p.ID, q.Ref), expr)
			if !strings.Contains(expr, `job=~"$job"`) || !strings.Contains(expr, `instance=~"$instance"`) {
				t.Errorf("%q shows other relays, too: %s", p.Title, q.Expr)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
	if len(ids) < 12 || regexp.MustCompile(`"id": null`).Find(b) != nil || d.UID != "chatrelay" {
		t.Errorf("%d panels, %s", len(ids), d.UID)
	}
}
