package k8s

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"chatrelay/configs"
)

type object struct {
	Kind     string            `yaml:"kind"`
	Metadata metadata          `yaml:"metadata"`
	Data     map[string]string `yaml:"data"`
	Spec     struct {
		Replicas int `yaml:"replicas"`
		Strategy struct {
			Type          string `yaml:"type"`
			RollingUpdate any    `yaml:"rollingUpdate"`
		} `yaml:"strategy"`
		Template struct {
			Spec pod `yaml:"spec"`
		} `yaml:"template"`
		VolumeClaimTemplates []struct {
			Metadata metadata `yaml:"metadata"`
		} `yaml:"volumeClaimTemplates"`
	} `yaml:"spec"`
}

type metadata struct {
	Name string `yaml:"name"`
}

type pod struct {
	Grace           int         `yaml:"terminationGracePeriodSeconds"`
	SecurityContext security    `yaml:"securityContext"`
	Containers      []container `yaml:"containers"`
	Volumes         []struct {
		Name   string `yaml:"name"`
		Secret *struct {
			SecretName string `yaml:"secretName"`
		} `yaml:"secret"`
		Claim *struct {
			Name string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
	} `yaml:"volumes"`
}

type container struct {
	Name    string `yaml:"name"`
	Env     []pair `yaml:"env"`
	EnvFrom []struct {
		ConfigMap metadata `yaml:"configMapRef"`
	} `yaml:"envFrom"`
	Ports []struct {
		Name string `yaml:"name"`
		Port int    `yaml:"containerPort"`
	} `yaml:"ports"`
	Liveness        probe    `yaml:"livenessProbe"`
	Readiness       probe    `yaml:"readinessProbe"`
	Startup         probe    `yaml:"startupProbe"`
	SecurityContext security `yaml:"securityContext"`
	Resources       struct {
		Limits struct {
			Memory string `yaml:"memory"`
		} `yaml:"limits"`
	} `yaml:"resources"`
	Mounts []struct {
		Name     string `yaml:"name"`
		Path     string `yaml:"mountPath"`
		ReadOnly bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type pair struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

type probe struct {
	HTTPGet struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	} `yaml:"httpGet"`
}

type security struct {
	RunAsNonRoot bool  `yaml:"runAsNonRoot"`
	RunAsUser    int   `yaml:"runAsUser"`
	FSGroup      int   `yaml:"fsGroup"`
	Escalation   *bool `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRoot bool  `yaml:"readOnlyRootFilesystem"`
	Capabilities struct {
		Drop []string `yaml:"drop"`
	} `yaml:"capabilities"`
	Seccomp struct {
		Type string `yaml:"type"`
	} `yaml:"seccompProfile"`
}

// objects reads every document of a manifest.
func objects(t *testing.T, file string) (out []object) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	for {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, o)
	}
}

// relay finds the object that runs the relay, and the relay in it.
func relay(t *testing.T, all []object) (object, container) {
	t.Helper()
	for _, o := range all {
		for _, c := range o.Spec.Template.Spec.Containers {
			if c.Name == "chatrelay" {
				return o, c
			}
		}
	}
	t.Fatal("no relay")
	return object{}, container{}
}

func TestManifests(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			all := objects(t, file)
			o, c := relay(t, all)
			if o.Spec.Replicas != 1 {
				t.Errorf("%d replicas", o.Spec.Replicas)
			}
			if o.Kind == "Deployment" && (o.Spec.Strategy.Type != "Recreate" || o.Spec.Strategy.RollingUpdate != nil) {
				t.Errorf("the strategy is %+v: two relays would run at once", o.Spec.Strategy)
			}
			if o.Kind != "Deployment" && o.Kind != "StatefulSet" {
				t.Errorf("it runs in a %s", o.Kind)
			}
			checkProbes(t, c)
			checkSecurity(t, o.Spec.Template.Spec, c)
			checkVolumes(t, all, o, c)
			checkEnvironment(t, all, o.Spec.Template.Spec, c)
		})
	}
}

func checkProbes(t *testing.T, c container) {
	t.Helper()
	for path, p := range map[string]probe{"/livez": c.Liveness, "/readyz": c.Readiness} {
		if p.HTTPGet.Path != path || p.HTTPGet.Port != "http" {
			t.Errorf("%s is probed by %+v", path, p)
		}
	}
	if c.Startup.HTTPGet.Path != "/livez" {
		t.Errorf("the start is probed by %+v", c.Startup)
	}
	if len(c.Ports) != 1 || c.Ports[0].Name != "http" || c.Ports[0].Port != 8080 {
		t.Errorf("ports %+v", c.Ports)
	}
}

func checkSecurity(t *testing.T, p pod, c container) {
	t.Helper()
	user := c.SecurityContext.RunAsUser
	if user == 0 {
		user = p.SecurityContext.RunAsUser
	}
	s := c.SecurityContext
	if !p.SecurityContext.RunAsNonRoot || user != 65532 || p.SecurityContext.FSGroup != 65532 || p.SecurityContext.Seccomp.Type != "RuntimeDefault" {
		t.Errorf("the pod's security is %+v, user %d", p.SecurityContext, user)
	}
	if s.Escalation == nil || *s.Escalation || !s.ReadOnlyRoot || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container's security is %+v", s)
	}
}

// checkVolumes: the journal outlives the pod, and secrets come as files.
func checkVolumes(t *testing.T, all []object, o object, c container) {
	t.Helper()
	mounts := map[string]string{} // path to volume
	for _, m := range c.Mounts {
		mounts[m.Path] = m.Name
		if m.Path == "/secrets" && !m.ReadOnly {
			t.Error("secrets can be written")
		}
	}
	durable, secret := false, false
	for _, v := range o.Spec.Template.Spec.Volumes {
		secret = secret || v.Name == mounts["/secrets"] && v.Secret != nil
		durable = durable || v.Name == mounts["/data"] && v.Claim != nil &&
			slices.ContainsFunc(all, func(o object) bool { return o.Kind == "PersistentVolumeClaim" && o.Metadata.Name == v.Claim.Name })
	}
	for _, v := range o.Spec.VolumeClaimTemplates {
		durable = durable || v.Metadata.Name == mounts["/data"]
	}
	if !durable || !secret {
		t.Errorf("journal on a volume: %v, secrets from a secret: %v", durable, secret)
	}
}

// checkEnvironment: it is right, but for files that are only there in the pod, and there is time for the drain.
func checkEnvironment(t *testing.T, all []object, p pod, c container) {
	t.Helper()
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		for _, o := range all {
			if o.Kind == "ConfigMap" && o.Metadata.Name == from.ConfigMap.Name {
				for k, v := range o.Data {
					env[k] = v
				}
			}
		}
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	checkMemory(t, c.Resources.Limits.Memory, env["GOMEMLIMIT"])
	delete(env, "GOMEMLIMIT") // the Go runtime's own
	secrets := t.TempDir()
	var environ []string
	for k, v := range env {
		if at, ok := strings.CutPrefix(v, "/secrets/"); ok {
			v = filepath.Join(secrets, at)
			if err := os.WriteFile(v, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if strings.Contains(k, "PASSWORD") || strings.Contains(k, "TOKEN") {
			t.Errorf("%s is not from a file", k)
		}
		environ = append(environ, k+"="+v)
	}
	cfg, err := configs.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.HTTP.Addr != "0.0.0.0:8080" || cfg.HTTP.Secret() == nil {
		t.Errorf("the page is at %s, with a token: %v; the kubelet must reach it, others must not", cfg.HTTP.Addr, cfg.HTTP.Secret() != nil)
	}
	if cfg.Store.Dir != "/data" {
		t.Errorf("the journal is in %s", cfg.Store.Dir)
	}
	if float64(p.Grace) < cfg.Process.Drain.Seconds()+5+5 {
		t.Errorf("%d s of grace are too short for a drain of %v", p.Grace, cfg.Process.Drain)
	}
}

// checkMemory: the Go runtime keeps within the container's limit, with room for what it does not count.
func checkMemory(t *testing.T, container, runtime string) {
	t.Helper()
	mi, err1 := strconv.Atoi(strings.TrimSuffix(container, "Mi"))
	mib, err2 := strconv.Atoi(strings.TrimSuffix(runtime, "MiB"))
	if err1 != nil || err2 != nil || mib*100 < mi*80 || mib*100 > mi*90 {
		t.Errorf("GOMEMLIMIT is %q in a container of %q: it must be 80 to 90 %% of it", runtime, container)
	}
}

// TestDockerfile: what the manifests take for granted of the image.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"CGO_ENABLED=0 ", "\nFROM scratch\n", "\nUSER 65532:65532\n", "\nVOLUME /data\n", "CHATRELAY_STORE=/data", `CMD ["/chatrelay", "health"]`,
		"\nSTOPSIGNAL SIGTERM\n", `ENTRYPOINT ["/chatrelay"]`, "--chown=65532:65532 /out/data /data", "/etc/ssl/certs/ca-certificates.crt",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
}
