package stage

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
)

// Stage is the whole set-up of a test.
type Stage struct {
	T      *testing.T
	MQTT   *servers.Mosquitto
	XMPP   *servers.XMPP
	Relay  *Relay
	People []*Person
}

// Plan is what a stage is made of.
type Plan struct {
	Binary  string // the relay's
	Start   func(testing.TB, servers.XMPPConfig) *servers.XMPP
	Broker  servers.MosquittoConfig
	XMPP    servers.XMPPConfig
	Env     map[string]string // over what the stage sets; names without CHATRELAY_
	Besides map[string]string // environment that is not the relay's own
	Heard   Hearer
	Rooms   bool // everybody sits in the room team
	Senders bool // people have a Sender
	// Wire is asked for more of Env once the servers run; it can put proxies before them. nil: nothing.
	Wire func(*Stage) map[string]string
}

// XMPPServer is one kind of server.
type XMPPServer struct {
	Name  string
	Start func(testing.TB, servers.XMPPConfig) *servers.XMPP
}

// XMPPServers are those that every test runs against.
func XMPPServers() []XMPPServer {
	return []XMPPServer{{"prosody", servers.NewProsody}, {"ejabberd", servers.NewEjabberd}}
}

// Landlines are the people of every stage.
func Landlines() []string { return []string{"1001", "1002", "1003", "1004"} }

// Build builds a command of this module into dir and returns its path.
func Build(dir, pkg string, flags ...string) (string, error) {
	out := filepath.Join(dir, filepath.Base(pkg))
	args := append(append([]string{"build", "-o", out}, flags...), pkg)
	if output, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("stage: build %s: %w\n%s", pkg, err, output)
	}
	return out, nil
}

// New starts servers, people and the relay.
func New(t *testing.T, p Plan) *Stage {
	t.Helper()
	p.XMPP.PlainAllowed = true // for the people; the relay uses TLS
	p.XMPP.Rooms = []string{"team"}
	p.XMPP.Users = map[string]string{"receiver": "pw-receiver"}
	for _, name := range Landlines() {
		p.XMPP.Users[name] = "pw-" + name
	}
	s := &Stage{T: t, MQTT: servers.NewMosquitto(t, p.Broker), XMPP: p.Start(t, p.XMPP)}
	var rooms []string
	if p.Rooms {
		rooms = []string{s.XMPP.Room("team")}
	}
	s.Relay = NewRelay(t, p.Binary, s.environment(p))
	maps.Copy(s.Relay.Besides, p.Besides)
	s.Relay.Start() // before the people: their messages finds it subscribed
	for _, name := range Landlines() {
		s.People = append(s.People, newPerson(t, s.MQTT, s.XMPP, name, p.Heard, p.Senders, rooms...))
	}
	return s
}

func (s *Stage) environment(p Plan) map[string]string {
	s.T.Helper()
	env := map[string]string{
		"MQTT_URL": s.MQTT.URL, "TOPIC_PREFIX": Prefix,
		"XMPP_JID": s.XMPP.JID("receiver"), "XMPP_PASSWORD": s.XMPP.Password("receiver"),
		"XMPP_ADDR": s.XMPP.Addr, "XMPP_CA_FILE": s.XMPP.CAFile,
		"XMPP_ROOMS": s.XMPP.Room("team"),
	}
	if p.Rooms {
		env["GROUPS_FILE"] = groupsFile(s.T, s.XMPP.Room("team"))
	}
	more := []map[string]string{p.Env}
	if p.Wire != nil {
		more = append(more, p.Wire(s))
	}
	for _, m := range more {
		maps.Copy(env, m)
	}
	return env
}

// groupsFile makes all landlines members of the room.
func groupsFile(t *testing.T, room string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "groups.csv")
	lines := ""
	for _, name := range Landlines() {
		lines += room + "," + name + "\n"
	}
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Person is who has a landline.
func (s *Stage) Person(name string) *Person {
	for _, p := range s.People {
		if p.Name == name {
			return p
		}
	}
	panic("nobody is " + name)
}

// Receiver is the address of the relay's account.
func (s *Stage) Receiver() string { return s.XMPP.JID("receiver") }

// Archive reads a person's archive (the plan has MAM).
func (s *Stage) Archive(ctx context.Context, name string) ([]clients.Stanza, error) {
	return clients.Archive(ctx, xmppConfig(s.XMPP, name))
}
