package compose

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"chatrelay/configs"
)

type service struct {
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	Command     []string          `yaml:"command"`
}

func services(t *testing.T) map[string]service {
	t.Helper()
	b, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Services map[string]service `yaml:"services"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil || len(c.Services) != 4 {
		t.Fatalf("%d services, %v", len(c.Services), err)
	}
	return c.Services
}

// prepared runs the setup as its container does, in folders of its own, and returns that of the keys.
func prepared(t *testing.T) (keys string, setup func(args ...string) (string, error)) {
	t.Helper()
	top := t.TempDir()
	keys = filepath.Join(top, "keys")
	for _, dir := range []string{keys, filepath.Join(top, "chat"), filepath.Join(top, "authority")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("servers/prosody.cfg.lua")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(top, "prosody.cfg.lua")
	text := strings.NewReplacer(`"/chat"`, `"`+top+`/chat"`, `"/keys/`, `"`+keys+`/`, `"/tmp/`, `"`+top+`/`).Replace(string(b))
	if os.Geteuid() == 0 {
		text = "run_as_root = true\n" + text
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	setup = func(args ...string) (string, error) {
		cmd := exec.Command("sh", append([]string{"servers/setup"}, args...)...)
		cmd.Env = append(os.Environ(), "KEYS="+keys, "AUTHORITY="+filepath.Join(top, "authority"), "CONFIG="+config, "DOMAIN=chat.example.org")
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	if output, err := setup(); err != nil || !strings.HasSuffix(output, "ready\n") {
		t.Fatalf("%v\n%s", err, output)
	}
	return keys, setup
}

// TestServers has one setup for all that needs its keys.
func TestServers(t *testing.T) {
	keys, setup := prepared(t)
	t.Run("setup", func(t *testing.T) { setUpOnce(t, keys, setup) })
	t.Run("the relay's environment", func(t *testing.T) { relayEnvironment(t, keys) })
	t.Run("live", func(t *testing.T) { live(t, keys, setup) })
}

// setUpOnce: it makes certificate, passwords and accounts once, and adds people.
func setUpOnce(t *testing.T, keys string, setup func(...string) (string, error)) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(keys, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(keys, "server.crt"), filepath.Join(keys, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(read("ca.crt")))
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"chat.example.org", "conference.chat.example.org", "mosquitto", "prosody", "localhost"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("the certificate is not good for %s: %v", name, err)
		}
	}
	if found, err := filepath.Glob(keys + "/ca.*"); err != nil || len(found) != 1 {
		t.Errorf("the authority's key is where everybody reads: %q, %v", found, err)
	}
	before := []string{read("mqtt-password"), read("xmpp-password"), read("http-token"), read("server.crt")}
	if output, err := setup(); err != nil {
		t.Fatalf("a second time: %v\n%s", err, output)
	}
	if after := []string{read("mqtt-password"), read("xmpp-password"), read("http-token"), read("server.crt")}; !slices.Equal(before, after) {
		t.Error("a second start makes new secrets")
	}
	if output, err := setup("user", "1001", "secret one"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	if got := read("mosquitto-passwords"); strings.Count(got, "chatrelay:$") != 1 || strings.Count(got, "1001:$") != 1 {
		t.Errorf("the broker knows\n%s", got)
	}
	for _, name := range []string{"receiver", "1001"} {
		if _, err := os.Stat(filepath.Join(keys, "../chat/chat%2eexample%2eorg/accounts", name+".dat")); err != nil {
			t.Errorf("the chat server does not know %s: %v", name, err)
		}
	}
	for _, bad := range [][]string{{"user", "a/b", "x"}, {"user", "#", "x"}, {"user", "receiver", "x"}, {"user", "1002"}, {"nonsense"}} {
		if output, err := setup(bad...); err == nil {
			t.Errorf("%q: %s", bad, output)
		}
	}
}

// relayEnvironment: the relay starts with it, its secrets from files that the setup makes.
func relayEnvironment(t *testing.T, keys string) {
	relay := services(t)["chatrelay"]
	env := []string{"CHATRELAY_STORE=/data", "CHATRELAY_HTTP_ADDR=0.0.0.0:8080"} // the image's
	for name, value := range relay.Environment {
		value = strings.NewReplacer("/keys/", keys+"/", "${DOMAIN}", "chat.example.org").Replace(value)
		if strings.HasPrefix(name, configs.Prefix) {
			env = append(env, name+"="+value)
		}
	}
	c, err := configs.Load(env)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 || c.HTTP.Secret() == nil || c.MQTTRoots == nil || c.XMPPRoots == nil {
		t.Errorf("warnings %v", w)
	}
}

// TestConfined: nobody may write anywhere but in volumes, and only the setup changes keys.
func TestConfined(t *testing.T) {
	b, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "no-new-privileges:true"); n != 2 {
		t.Errorf("%d", n)
	}
	for name, s := range services(t) {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s may do more than it needs", name)
		}
		if slices.Contains(s.Volumes, "keys:/keys") != (name == "setup") {
			t.Errorf("%s: %q", name, s.Volumes)
		}
	}
}

// TestBroker: what docs/SERVERS.md asks for is in the broker's configuration.
func TestBroker(t *testing.T) {
	conf, err1 := os.ReadFile("servers/mosquitto.conf")
	doc, err2 := os.ReadFile("../../docs/SERVERS.md")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	_, block, _ := strings.Cut(string(doc), "## Mosquitto")
	_, block, _ = strings.Cut(block, "```\n")
	block, _, _ = strings.Cut(block, "```")
	n := 0
	for line := range strings.Lines(block) {
		setting, _, _ := strings.Cut(line, "#")
		setting = strings.TrimSpace(setting)
		if name, _, _ := strings.Cut(setting, " "); name == "acl_file" || name == "persistence_location" {
			continue // places
		}
		if n++; !strings.Contains(string(conf), setting+"\n") {
			t.Errorf("the broker lacks %q", setting)
		}
	}
	if n < 8 {
		t.Errorf("%d settings in docs/SERVERS.md", n)
	}
}
