package compose

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"chatrelay/test/process"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// live runs broker and chat server by the very files of their image, with other folders and ports, and a relay with the
// environment of compose.yaml. One message goes each way. 1001 is there already.
func live(t *testing.T, keys string, setup func(...string) (string, error)) {
	top := filepath.Dir(keys)
	if output, err := setup("user", "1002", "secret2"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	mqtt, xmpp := servers.FreeAddr(t), servers.FreeAddr(t)
	port := func(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
	broker := rewritten(t, "servers/mosquitto.conf", filepath.Join(top, "mosquitto.conf"), "listener 8883", "listener "+port(mqtt)+" 127.0.0.1",
		"/keys/", keys+"/", "/etc/chatrelay-servers/acl", absolute(t, "servers/acl"), "/broker/", top+"/")
	if os.Geteuid() == 0 {
		appendTo(t, broker, "user root\n") // else it drops to a user who cannot read the test's folder
	}
	chat := filepath.Join(top, "prosody.cfg.lua") // as the setup has it
	rewritten(t, chat, chat, `interfaces = { "*" }`, `interfaces = { "127.0.0.1" }`+"\nc2s_ports = { "+port(xmpp)+" }\nc2s_direct_tls_ports = { }")
	started(t, exec.Command("mosquitto", "-c", broker))
	prosody := exec.Command("prosody", "-F", "--config", chat)
	prosody.Env = append(os.Environ(), "DOMAIN=chat.example.org")
	started(t, prosody)
	listens(t, mqtt)
	listens(t, xmpp)

	env := map[string]string{}
	for name, value := range services(t)["chatrelay"].Environment {
		if name, ours := strings.CutPrefix(name, "CHATRELAY_"); ours {
			env[name] = strings.NewReplacer("/keys/", keys+"/", "${DOMAIN}", "chat.example.org", "mosquitto:8883", "localhost:"+port(mqtt), "prosody:5222", xmpp).Replace(value)
		}
	}
	binary, err := stage.Build(t.TempDir(), "chatrelay/cmd/chatrelay")
	if err != nil {
		t.Fatal(err)
	}
	stage.NewRelay(t, binary, env).Start()

	password, err := os.ReadFile(filepath.Join(keys, "mqtt-password"))
	if err != nil {
		t.Fatal(err)
	}
	atBroker := func(command, user, password string, more ...string) *exec.Cmd {
		return exec.Command(command, append([]string{"-h", "localhost", "-p", port(mqtt), "--cafile", filepath.Join(keys, "ca.crt"), "-u", user, "-P", password}, more...)...)
	}
	phone := []string{"-t", "/chat/1002", "-q", "1", "-i", "phone", "-c"} // the broker keeps what comes before it listens
	if output, err := atBroker("mosquitto_sub", "1002", "secret2", append(phone, "-E")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	inbox := started(t, atBroker("mosquitto_sub", "1002", "secret2", phone...))
	person := func(more ...string) *exec.Cmd {
		return exec.Command("go-sendxmpp", append([]string{"-n", "-u", "1001@chat.example.org", "-p", "secret one", "-j", xmpp}, more...)...)
	}
	ear := started(t, person("-l")) // what comes before is kept, too
	// Devices may only read (servers/acl): a backend writes for them, with the relay's own login.
	if output, err := atBroker("mosquitto_pub", "chatrelay", strings.TrimSpace(string(password)), "-i", "backend", "-q", "2", "-t", "/chat/1001",
		"-m", `{"from": "1002", "content": "Hi Anna!", "id": "m1"}`).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	hears(t, ear, "Hi Anna!")
	hello := person("receiver@chat.example.org")
	hello.Stdin = strings.NewReader(`{"from": "1001", "to": "1002", "content": "Hi Ben!", "id": "x1"}`)
	if output, err := hello.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	hears(t, inbox, "Hi Ben!")
}

// program is one that runs until the test ends, and what it has said.
type program struct{ name, file string }

func started(t *testing.T, cmd *exec.Cmd) program {
	t.Helper()
	p := program{filepath.Base(cmd.Path), filepath.Join(t.TempDir(), "said")}
	running, err := process.Start(cmd, p.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.End(syscall.SIGTERM, stage.WaitLimit); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(p.file); t.Failed() && err == nil {
			t.Logf("%s:\n%s", p.name, b)
		}
	})
	return p
}

func listens(t *testing.T, addr string) {
	t.Helper()
	until(t, addr+" is not served", func() bool {
		c, err := net.Dial("tcp", addr)
		return err == nil && c.Close() == nil
	})
}

func hears(t *testing.T, p program, text string) {
	t.Helper()
	until(t, p.name+" does not get "+text, func() bool {
		b, err := os.ReadFile(p.file)
		return err == nil && bytes.Contains(b, []byte(text))
	})
}

func until(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(otherwise)
		}
	}
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	out, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rewritten copies a file with other words in it. Each old one must be there.
func rewritten(t *testing.T, from, to string, pairs ...string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s has no %q", from, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, append([]byte(text), b...), 0o600) // before the first listener
	}
	if err != nil {
		t.Fatal(err)
	}
}
