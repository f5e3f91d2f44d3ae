package manifests

import (
	"bytes"
	"errors"
	"flag"
	stdmaps "maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// What comes of the overlays is written anew by `go generate -C tools ./manifests`.
//
//go:generate go test . -run "^(TestWritten|TestAlerts)$" -update
var update = flag.Bool("update", false, "write what comes of the overlays")

const folder = "../../deploy/k8s/"

// overlays are those that people apply.
func overlays() []string { return []string{"standalone", "sidecar"} }

// built is the YAML of a kustomization.
func built(t *testing.T, dir string) []byte {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAlerts: the alerts that the Prometheus operator gets are those of deploy/prometheus.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("../../deploy/prometheus/chatrelay.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rule := monitoring.PrometheusRule{TypeMeta: meta.TypeMeta{APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule"},
		ObjectMeta: meta.ObjectMeta{Name: "chatrelay", Labels: map[string]string{"app.kubernetes.io/name": "chatrelay"}}}
	if err := yaml.UnmarshalStrict(text, &rule.Spec); err != nil {
		t.Fatal(err)
	}
	want, err := yaml.Marshal(rule)
	if err != nil {
		t.Fatal(err)
	}
	written(t, folder+"components/monitoring/alerts.yaml", append([]byte("# Made of deploy/prometheus/chatrelay.rules.yaml: change it there.\n"), want...))
}

// written compares a file with what it is made of, or writes it.
func written(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what it is made of (%v): run go generate -C tools ./manifests", file, err)
	}
}

// TestWritten: deploy/k8s/*.yaml are what the overlays say today.
func TestWritten(t *testing.T) {
	for _, name := range overlays() {
		written(t, folder+name+".yaml", append([]byte("# Made of deploy/k8s/overlays/"+name+": read that, or change it there.\n"), built(t, folder+"overlays/"+name)...))
	}
}

// objects are the manifest's, as Kubernetes' own types. A field that these do not have is an error.
type objects struct {
	sets     []apps.StatefulSet
	services []core.Service
	maps     []core.ConfigMap
	networks []networking.NetworkPolicy
	budgets  []policy.PodDisruptionBudget
	monitors []monitoring.ServiceMonitor
	rules    []monitoring.PrometheusRule
}

func read(t *testing.T, text []byte) (out objects) {
	t.Helper()
	for _, one := range bytes.Split(text, []byte("\n---\n")) {
		var kind meta.TypeMeta
		if err := yaml.Unmarshal(one, &kind); err != nil {
			t.Fatal(err)
		}
		var err error
		switch kind.APIVersion + " " + kind.Kind {
		case "apps/v1 StatefulSet":
			err = add(one, &out.sets)
		case "v1 Service":
			err = add(one, &out.services)
		case "v1 ConfigMap":
			err = add(one, &out.maps)
		case "networking.k8s.io/v1 NetworkPolicy":
			err = add(one, &out.networks)
		case "policy/v1 PodDisruptionBudget":
			err = add(one, &out.budgets)
		case "monitoring.coreos.com/v1 ServiceMonitor":
			err = add(one, &out.monitors)
		case "monitoring.coreos.com/v1 PrometheusRule":
			err = add(one, &out.rules)
		default:
			t.Errorf("nobody looks at a %s %s", kind.APIVersion, kind.Kind)
		}
		if err != nil {
			t.Errorf("%s: %v", kind.Kind, err)
		}
	}
	return out
}

func add[T any](text []byte, to *[]T) error {
	var one T
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	wrong, err := json.UnmarshalStrict(asJSON, &one) // as the API server does: the names of fields have their case
	*to = append(*to, one)
	return errors.Join(append(wrong, err)...)
}

// TestOverlays: each has all parts, and they mean each other.
func TestOverlays(t *testing.T) {
	for _, name := range overlays() {
		t.Run(name, func(t *testing.T) {
			o := read(t, built(t, folder+"overlays/"+name))
			if len(o.sets) != 1 || len(o.services) != 1 || len(o.networks) != 1 || len(o.budgets) != 1 {
				t.Fatalf("%d, %d, %d, %d", len(o.sets), len(o.services), len(o.networks), len(o.budgets))
			}
			set, service, network, budget := o.sets[0], o.services[0], o.networks[0], o.budgets[0]
			pod := labels.Set(set.Spec.Template.Labels)
			for what, selector := range map[string]*meta.LabelSelector{
				"set": set.Spec.Selector, "network policy": &network.Spec.PodSelector, "disruption budget": budget.Spec.Selector,
				"service": {MatchLabels: service.Spec.Selector},
			} {
				s, err := meta.LabelSelectorAsSelector(selector)
				if err != nil || s.Empty() || !s.Matches(pod) {
					t.Errorf("the %s does not mean the pod: %v, %v", what, s, err)
				}
			}
			if set.Spec.ServiceName != service.Name || *set.Spec.Replicas != 1 || budget.Spec.MaxUnavailable.IntValue() != 1 {
				t.Errorf("service %s, %d replicas, %v", set.Spec.ServiceName, *set.Spec.Replicas, budget.Spec.MaxUnavailable)
			}
			checkPorts(t, &set.Spec.Template.Spec, &service, &network)
			checkNamed(t, &set, o.maps)
			checkRelay(t, &set.Spec.Template.Spec, o.maps)
		})
	}
}

// checkPorts: what is named by a service or let in by the policy, a container has.
func checkPorts(t *testing.T, pod *core.PodSpec, service *core.Service, network *networking.NetworkPolicy) {
	t.Helper()
	has := func(p intstr.IntOrString) bool {
		return slices.ContainsFunc(pod.Containers, func(c core.Container) bool {
			return slices.ContainsFunc(c.Ports, func(have core.ContainerPort) bool { return have.Name == p.String() })
		})
	}
	for _, p := range service.Spec.Ports {
		if !has(p.TargetPort) {
			t.Errorf("the service's port %v is nobody's", p.TargetPort)
		}
	}
	for _, rule := range network.Spec.Ingress {
		for _, from := range rule.From {
			s, err := meta.LabelSelectorAsSelector(from.PodSelector)
			if err != nil || !s.Matches(labels.Set{"app.kubernetes.io/name": "prometheus"}) {
				t.Errorf("the network policy does not let Prometheus in, but %v, %v", s, err)
			}
		}
		for _, p := range rule.Ports {
			if !has(*p.Port) {
				t.Errorf("the network policy lets in %v, which is nobody's", p.Port)
			}
		}
	}
	open := map[int]bool{}
	for _, rule := range network.Spec.Egress {
		for _, p := range rule.Ports {
			open[p.Port.IntValue()] = true
		}
	}
	for _, want := range []int{53, 5222} {
		if !open[want] {
			t.Errorf("the network policy does not let out to %d", want)
		}
	}
	if outside := len(pod.Containers) == 1; open[8883] != outside {
		t.Errorf("let out to the broker: %v, and it is outside: %v", open[8883], outside)
	}
}

// checkNamed: volumes that are mounted, and tables that are read, are there. Every container is as confined as it can be.
func checkNamed(t *testing.T, set *apps.StatefulSet, maps []core.ConfigMap) {
	t.Helper()
	pod := &set.Spec.Template.Spec
	hasMap := func(name string) bool {
		return slices.ContainsFunc(maps, func(m core.ConfigMap) bool { return m.Name == name })
	}
	var volumes []string
	for _, v := range set.Spec.VolumeClaimTemplates {
		volumes = append(volumes, v.Name)
	}
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
		if v.ConfigMap != nil && !hasMap(v.ConfigMap.Name) {
			t.Errorf("there is no config map %s", v.ConfigMap.Name)
		}
	}
	for _, c := range pod.Containers {
		for _, m := range c.VolumeMounts {
			if !slices.Contains(volumes, m.Name) {
				t.Errorf("%s mounts %s, which is not there", c.Name, m.Name)
			}
		}
		for _, e := range c.EnvFrom {
			if !hasMap(e.ConfigMapRef.Name) || !strings.Contains(e.ConfigMapRef.Name, "-") {
				t.Errorf("%s reads %s, which is not there, or does not change its name with its content", c.Name, e.ConfigMapRef.Name)
			}
		}
		if s := c.SecurityContext; s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
			t.Errorf("%s may do more than it needs: %+v", c.Name, s)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() || !strings.Contains(c.Image, ":") {
			t.Errorf("%s, %s: %+v", c.Name, c.Image, c.Resources)
		}
	}
	if !*pod.SecurityContext.RunAsNonRoot || *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
		t.Errorf("the pod: %+v", pod.SecurityContext)
	}
}

// checkRelay: Go keeps below the container's memory, probes ask what the relay answers, and the volumes are its user's.
func checkRelay(t *testing.T, pod *core.PodSpec, maps []core.ConfigMap) {
	t.Helper()
	c := &pod.Containers[slices.IndexFunc(pod.Containers, func(c core.Container) bool { return c.Name == "chatrelay" })]
	env := map[string]string{}
	for _, m := range maps {
		stdmaps.Copy(env, m.Data)
	}
	memory, err := resource.ParseQuantity(strings.TrimSuffix(env["GOMEMLIMIT"], "B"))
	if limit := c.Resources.Limits.Memory().Value(); err != nil || memory.Value() < limit*8/10 || memory.Value() > limit*9/10 {
		t.Errorf("GOMEMLIMIT is %s (%v) of %d bytes", env["GOMEMLIMIT"], err, limit)
	}
	for _, p := range []struct {
		probe *core.Probe
		path  string
	}{{c.LivenessProbe, "/livez"}, {c.ReadinessProbe, "/readyz"}, {c.StartupProbe, "/livez"}} {
		if p.probe == nil || p.probe.HTTPGet == nil || p.probe.HTTPGet.Path != p.path || p.probe.HTTPGet.Port.String() != "http" {
			t.Errorf("the probe of %s is %+v", p.path, p.probe)
		}
	}
	if s := pod.SecurityContext; s.FSGroup == nil || *s.FSGroup != *s.RunAsGroup || *s.RunAsUser == 0 {
		t.Errorf("whose are the volumes? %+v", s)
	}
	if c.ImagePullPolicy != core.PullIfNotPresent {
		t.Errorf("an image that was loaded into the nodes is not used: %s", c.ImagePullPolicy)
	}
}

// TestMonitoring: the component adds what the Prometheus operator looks for, and that means the service.
func TestMonitoring(t *testing.T) {
	for _, name := range overlays() {
		dir := t.TempDir() // not in the repository: the tests of packages copy that at the same time
		up, err := relative(dir, folder)
		if err != nil {
			t.Fatal(err)
		}
		text := "resources: [" + up + "/overlays/" + name + "]\ncomponents: [" + up + "/components/monitoring]\n"
		if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o := read(t, built(t, dir))
		if len(o.monitors) != 1 || len(o.services) != 1 || len(o.rules) != 1 || len(o.rules[0].Spec.Groups) == 0 {
			t.Fatalf("%d monitors, %d services, %d rules", len(o.monitors), len(o.services), len(o.rules))
		}
		m, s := o.monitors[0], o.services[0]
		selector, err := meta.LabelSelectorAsSelector(&m.Spec.Selector)
		if err != nil || selector.Empty() || !selector.Matches(labels.Set(s.Labels)) || m.Spec.Endpoints[0].Port != s.Spec.Ports[0].Name {
			t.Errorf("%v, %v does not mean %+v", selector, err, s)
		}
	}
}

// relative is the way from one folder to another, as kustomize walks it: without symbolic links.
func relative(from, to string) (string, error) {
	from, err1 := filepath.EvalSymlinks(from)
	to, err2 := filepath.Abs(to)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	to, err := filepath.EvalSymlinks(to)
	if err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}
