package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/test/servers"
)

// environ is an environment, by name without prefix.
type environ map[string]string

// problem is what check must say: in a step, how bad it is, which setting leads there, and what mends it.
type problem struct{ step, severity, variable, fix string }

// misconfigured is one environment. What is not in wrong must be well.
type misconfigured struct {
	env   environ
	wrong []problem
}

// checked is the document of check -json.
type checked struct {
	Severity string
	Steps    []struct {
		Name, Severity, Note, Fix string
		Variables                 []string
	}
}

const paceStep = "xmpp rate limit"

// slow tells whether the XMPP server was found to read slowly.
func (c checked) slow() bool {
	for _, s := range c.Steps {
		if s.Name == paceStep && s.Severity != severityOK {
			return true
		}
	}
	return false
}

// TestMisconfigured: each of these is found on real servers, with the setting and what mends it. One environment has
// several where they do not hide each other.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	s := startSites(t)
	rows := s.rows(t)
	maps.Copy(rows, s.brokerRows(t))
	maps.Copy(rows, s.serverRows())
	got, environs := map[string]checked{}, map[string]environ{}
	var mu sync.Mutex // guards both
	var all sync.WaitGroup
	places := make(chan struct{}, 4) // checks mostly wait; more at once would be slow servers
	for i, name := range slices.Sorted(maps.Keys(rows)) {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			env := maps.Clone(s.good)
			maps.Copy(env, environ{"XMPP_RESOURCE": fmt.Sprint("check", i), "XMPP_NICK": fmt.Sprint("check", i), "STORE": t.TempDir()})
			maps.Copy(env, rows[name].env)
			c := checkedBy(t, env)
			mu.Lock()
			defer mu.Unlock()
			got[name], environs[name] = c, env
		})
	}
	all.Wait()
	found := 0
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got[name].slow() && !slices.ContainsFunc(row.wrong, func(p problem) bool { return p.step == paceStep }) {
				got[name] = checkedBy(t, environs[name]) // alone: that was this machine, at work on all of them
			}
			found += row.compare(t, got[name])
		})
	}
	if found < 28 {
		t.Errorf("%d misconfigurations, want 28", found)
	}
}

func checkedBy(t *testing.T, env environ) (c checked) {
	var list []string
	for name, value := range env {
		list = append(list, "CHATRELAY_"+name+"="+value)
	}
	var out strings.Builder
	err := Check(Process{Args: []string{"-json"}, Environ: list, Out: &out})
	if bad := json.Unmarshal([]byte(out.String()), &c); bad != nil || (err == nil) != (c.Severity == severityOK) {
		t.Errorf("%v, %v: %s", err, bad, out.String())
	}
	return c
}

// compare gives how many of the row were found.
func (m *misconfigured) compare(t *testing.T, c checked) (found int) {
	missing := slices.Clone(m.wrong)
	for _, s := range c.Steps {
		if s.Severity == severityOK || strings.HasPrefix(s.Name, "store ") && strings.Contains(s.Note, "it lies in") { // where tests keep their files
			continue
		}
		if s.Note == "" || s.Fix == "" || len(s.Variables) == 0 {
			t.Errorf("%+v has no fix, or no setting", s)
		}
		i := slices.IndexFunc(missing, func(p problem) bool {
			return strings.Contains(s.Name, p.step) && s.Severity == p.severity && slices.Contains(s.Variables, "CHATRELAY_"+p.variable) && strings.Contains(s.Fix, p.fix)
		})
		if i < 0 {
			t.Errorf("not expected: %+v", s)
			continue
		}
		missing = slices.Delete(missing, i, i+1)
		found++
	}
	for _, p := range missing {
		t.Errorf("not said: %+v", p)
	}
	return found
}

// sites are the servers, each with some of what can be wrong.
type sites struct {
	broker, mutual, expired, small *servers.Mosquitto
	prosody, bare, renew, ejabberd *servers.XMPP
	good                           environ
}

func startSites(t *testing.T) *sites {
	users := map[string]string{"relay": "right", "deaf": "x", "mute": "x", "plain": "x"}
	const inboxes, status = "topic readwrite /chat/#\n", "topic readwrite chatrelay/#\n"
	acl := "user relay\n" + inboxes + status + "user deaf\ntopic write /chat/#\n" + status + "user mute\ntopic read /chat/#\n" + status + "user plain\n" + inboxes
	s := &sites{}
	var starting sync.WaitGroup
	starting.Go(func() {
		s.broker = servers.NewMosquitto(t, servers.MosquittoConfig{TLS: true, Users: users, ACL: acl})
		s.mutual = servers.NewMosquitto(t, servers.MosquittoConfig{RequireClientCert: true})
		s.small = servers.NewMosquitto(t, servers.MosquittoConfig{MaxInflight: 4, MessageSizeLimit: 20_000})
		s.expired = servers.NewMosquitto(t, servers.MosquittoConfig{TLS: true})
		if err := errors.Join(s.expired.Reissue(time.Now().Add(-time.Hour), "localhost"), s.expired.Stop(), s.expired.Start()); err != nil {
			t.Error(err)
		}
	})
	starting.Go(func() {
		s.prosody = servers.NewProsody(t, servers.XMPPConfig{MAM: true, Rooms: []string{"room"}, Component: "relay"})
		s.bare = servers.NewProsody(t, servers.XMPPConfig{NoSM: true, Rooms: []string{"blind"}, AnonymousRooms: true, RateLimits: true})
		s.renew = servers.NewProsody(t, servers.XMPPConfig{MAM: true, ArchivePolicy: "never", StanzaLimit: 20_000, SMHibernation: 10 * time.Second})
		if err := errors.Join(s.renew.Reissue(time.Now().Add(20*time.Hour), s.renew.Domain), s.renew.Stop(), s.renew.Start()); err != nil {
			t.Error(err)
		}
	})
	starting.Go(func() { s.ejabberd = servers.NewEjabberd(t, servers.XMPPConfig{NoSM: true, RateLimits: true}) })
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	s.good = environ{"MQTT_URL": s.broker.TLSURL, "MQTT_CA_FILE": s.broker.CAFile, "MQTT_USERNAME": "relay", "MQTT_PASSWORD": "right", "HTTP_ADDR": "127.0.0.1:0"}
	maps.Copy(s.good, at(s.prosody))
	return s
}

func at(x *servers.XMPP) environ {
	return environ{"XMPP_JID": x.JID("receiver"), "XMPP_PASSWORD": x.Password("receiver"), "XMPP_ADDR": x.Addr, "XMPP_CA_FILE": x.CAFile}
}

func with(of environ, pairs ...string) environ {
	out := maps.Clone(of)
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// rows are what needs no server to be wrong.
func (s *sites) rows(t *testing.T) map[string]misconfigured {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	broken := filepath.Join(dir, "broken")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Mkdir(broken, 0o700),
		os.WriteFile(filepath.Join(broken, "journal.db"), []byte("SQLite format 3\x00 and then nonsense"), 0o600)); err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(nil)
	t.Cleanup(other.Close)
	return map[string]misconfigured{
		"all is well": {environ{"XMPP_ROOMS": s.prosody.Room("room")}, []problem{{"group " + s.prosody.Room("room"), "warning", "GROUPS_FILE", "write its members"}}},
		"settings": {environ{"MQTT_QOS": "0", "MQTT_URLS": "x", "MQTT_URL": "tcp://broker.test", "IDENTITY_FILE": filepath.Join(dir, "none"), "TOPIC_PREFIX": "/chat/", "MQTT_CA_FILE": ""}, []problem{
			{"CHATRELAY_MQTT_QOS", "error", "MQTT_QOS", "write 2 or 1"},
			{"CHATRELAY_MQTT_URLS", "error", "MQTT_URLS", "CHATRELAY_MQTT_URL"},
			{"CHATRELAY_MQTT_URL", "error", "MQTT_URL", "write ssl or wss"},
			{"CHATRELAY_IDENTITY_FILE", "error", "IDENTITY_FILE", "name a CSV file"},
			{"CHATRELAY_TOPIC_PREFIX", "error", "TOPIC_PREFIX", "leave it out"},
		}},
		"no account": {environ{"XMPP_JID": ""}, []problem{{"CHATRELAY_XMPP_JID", "error", "XMPP_JID", "set it to the relay's own account"}}},
		"this machine": {environ{"STORE": file, "STORE_MAX_BYTES": "1000TiB", "HTTP_ADDR": other.Listener.Addr().String()}, []problem{
			{"store " + file, "error", "STORE", "name a folder"},
			{"space for the store", "warning", "STORE_MAX_BYTES", "make room"},
			{"status page", "error", "HTTP_ADDR", "choose another address"},
		}},
		"a damaged journal": {environ{"STORE": broken}, []problem{{"store " + broken, "error", "STORE", "put it right"}}},
		"in memory":         {environ{"STORE": "memory"}, []problem{{"store memory", "warning", "STORE", "a disk that stays"}}},
	}
}

// brokerRows are about MQTT.
func (s *sites) brokerRows(t *testing.T) map[string]misconfigured {
	login := func(variable, fix string) []problem { return []problem{{"mqtt login", "error", variable, fix}} }
	plain := func(b *servers.Mosquitto) environ {
		return environ{"MQTT_URL": b.URL, "MQTT_CA_FILE": "", "MQTT_USERNAME": "", "MQTT_PASSWORD": ""}
	}
	as := func(user string) environ { return environ{"MQTT_USERNAME": user, "MQTT_PASSWORD": "x"} }
	return map[string]misconfigured{
		"no broker":               {with(plain(s.broker), "MQTT_URL", "tcp://"+servers.FreeAddr(t)), login("MQTT_URL", "start the broker")},
		"wrong password, MQTT":    {as("relay"), login("MQTT_PASSWORD", "check CHATRELAY_MQTT_USERNAME")},
		"no user":                 {environ{"MQTT_USERNAME": "", "MQTT_PASSWORD": ""}, login("MQTT_USERNAME", "lets this user in")},
		"tcp at the TLS port":     {with(plain(s.broker), "MQTT_URL", "tcp://"+s.broker.TLSAddr), login("MQTT_URL", "write ssl://")},
		"ssl at the plain port":   {environ{"MQTT_URL": "ssl://" + s.broker.Addr}, login("MQTT_URL", "write tcp://")},
		"an XMPP server for MQTT": {with(plain(s.broker), "MQTT_URL", "tcp://"+s.prosody.Addr), login("MQTT_URL", "name the MQTT broker")},
		"unknown authority, MQTT": {environ{"MQTT_CA_FILE": s.prosody.CAFile}, login("MQTT_CA_FILE", "the authority that signed")},
		"expired, MQTT":           {environ{"MQTT_URL": s.expired.TLSURL, "MQTT_CA_FILE": s.expired.CAFile}, login("MQTT_URL", "renew the broker's certificate")},
		"no client certificate":   {environ{"MQTT_URL": s.mutual.TLSURL, "MQTT_CA_FILE": s.mutual.CAFile}, login("MQTT_CERT_FILE", "CHATRELAY_MQTT_KEY_FILE")},
		"no right to read":        {as("deaf"), []problem{{"mqtt rights", "error", "TOPIC_PREFIX", `"user deaf" and "topic readwrite /chat/#"`}}},
		"no right to write":       {as("mute"), []problem{{"mqtt rights", "error", "TOPIC_PREFIX", `"user mute" and "topic readwrite /chat/#"`}}},
		"no right for the status": {as("plain"), []problem{{"mqtt status topic", "warning", "STATUS_TOPIC", `"topic readwrite chatrelay/chatrelay/status"`}}},
		"the broker's limits": {with(plain(s.small), "MQTT_WINDOW", "10"), []problem{
			{"mqtt publish window", "warning", "MQTT_WINDOW", "raise its limit to 20"},
			{"mqtt message length", "warning", "MAX_MESSAGE", "message_size_limit"},
		}},
	}
}

// serverRows are about XMPP.
func (s *sites) serverRows() map[string]misconfigured {
	login := func(variable, fix string) []problem { return []problem{{"xmpp login", "error", variable, fix}} }
	component := environ{"XMPP_MODE": "component", "XMPP_JID": s.prosody.Component, "XMPP_USER_DOMAIN": s.prosody.Domain, "XMPP_ADDR": s.prosody.ComponentAddr, "XMPP_CA_FILE": "", "XMPP_PASSWORD": s.prosody.Secret()}
	return map[string]misconfigured{
		"wrong password, XMPP":     {environ{"XMPP_PASSWORD": "x"}, login("XMPP_PASSWORD", "CHATRELAY_XMPP_JID")},
		"another domain":           {environ{"XMPP_JID": "receiver@elsewhere.test"}, login("XMPP_JID", "correct the domain")},
		"direct at the other port": {environ{"XMPP_TLS": "direct"}, login("XMPP_TLS", "starttls")},
		"TLS is wanted":            {environ{"XMPP_TLS": "off", "XMPP_CA_FILE": ""}, login("XMPP_TLS", "starttls")},
		"a broker for XMPP":        {environ{"XMPP_ADDR": s.broker.Addr}, login("XMPP_ADDR", "name the XMPP server")},
		"unknown authority, XMPP":  {environ{"XMPP_CA_FILE": s.broker.CAFile}, login("XMPP_CA_FILE", "the authority that signed")},
		"the component's name":     {with(component, "XMPP_JID", "other.chat.test"), login("XMPP_JID", "add one for CHATRELAY_XMPP_JID")},
		"the component's secret":   {with(component, "XMPP_PASSWORD", "x"), login("XMPP_PASSWORD", "with this secret")},
		"a component is well":      {component, nil},
		"a bare Prosody, with Debian's limits": {with(at(s.bare), "XMPP_ROOMS", s.bare.Room("blind")+","+s.bare.Room("missing")), []problem{
			{"stream management", "warning", "XMPP_JID", "enable smacks"},
			{"archive", "warning", "XMPP_JID", "enable mam"},
			{paceStep, "warning", "XMPP_JID", "unlimited_jids"},
			{"xmpp room " + s.bare.Room("blind"), "warning", "XMPP_ROOMS", "show real addresses"},
			{"xmpp room " + s.bare.Room("missing"), "warning", "XMPP_ROOMS", "make it first"},
			{"group " + s.bare.Room("blind"), "warning", "GROUPS_FILE", "write its members"},
			{"group " + s.bare.Room("missing"), "warning", "GROUPS_FILE", "write its members"},
		}},
		"a bare ejabberd, with Debian's limits": {at(s.ejabberd), []problem{
			{"stream management", "warning", "XMPP_JID", "mod_stream_mgmt"},
			{"archive", "warning", "XMPP_JID", "mod_mam"},
			{paceStep, "warning", "XMPP_JID", "c2s_shaper"},
		}},
		"small limits": {at(s.renew), []problem{
			{"archive", "warning", "XMPP_JID", "default_archive_policy"},
			{"stream management", "warning", "XMPP_JID", "smacks_hibernation_time"},
			{"xmpp stanza limit", "warning", "MAX_MESSAGE", "c2s_stanza_size_limit"},
			{"certificate of xmpp", "warning", "XMPP_JID", "renew the certificate"},
		}},
	}
}
