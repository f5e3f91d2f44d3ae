package configs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// least is an environment with what is required, and more pairs.
func least(more ...string) []string {
	return append([]string{"CHATRELAY_XMPP_JID=receiver@example.org", "CHATRELAY_XMPP_PASSWORD=hunter2", "HOME=/root", "PATH="}, more...)
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDefaults(t *testing.T) {
	c, err := Load(least())
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		MQTT:     MQTT{URLs: []BrokerURL{"tcp://localhost:1883"}, ClientID: "chatrelay", QoS: 2, Version: "auto", SessionExpiry: 336 * time.Hour, Prefix: "/chat"},
		XMPP:     XMPP{Mode: "client", JID: "receiver@example.org", Password: "hunter2", Resource: "chatrelay", Nick: "chatrelay"},
		Messages: Messages{LandlinePattern: "[A-Za-z0-9][A-Za-z0-9._-]{0,63}", MaxMessage: 192 << 10, GroupSenders: "members", Notices: Notices{Sent: true, Delayed: true, Failed: true}},
		Store:    Store{Dir: "./data", Sync: "full", MaxBytes: 1 << 30, TraceMaxBytes: 256 << 20, DedupWindow: 24 * time.Hour, DedupMaxKeys: 1_000_000},
		HTTP:     HTTP{Addr: "127.0.0.1:8080"}, Log: Log{Level: "info", Format: "auto"}, Process: Process{Drain: 10 * time.Second},
		Files: Files{Groups: map[string][]string{}, Identity: map[string]string{}},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
	if got := c.MQTT.Topic(); got != "chatrelay/chatrelay/status" {
		t.Errorf("status topic %q", got)
	}
	if got := c.XMPP.Domain(); got != "example.org" {
		t.Errorf("user domain %q", got)
	}
	if got := c.XMPP.Account(); got != "receiver" {
		t.Errorf("account %q", got)
	}
	if c.MQTT.Secret() != nil || c.HTTP.Secret() != nil || !c.HTTP.Loopback() {
		t.Error("there are secrets that nobody set, or the page is not on loopback")
	}
}

func TestEverySettingIsRead(t *testing.T) {
	cert, key := pair(t)
	groups := file(t, "team@rooms.example.org,1001\nteam@rooms.example.org, 1002\nclub@rooms.example.org,1001\n")
	identity := file(t, "Desk,desk-one@example.org\n1001,alice@other.example\n")
	c, err := Load([]string{
		"CHATRELAY_MQTT_URL= ssl://u:pw@b1:8883 , wss://b2/mqtt", "CHATRELAY_MQTT_USERNAME=u", "CHATRELAY_MQTT_PASSWORD= p ",
		"CHATRELAY_MQTT_CLIENT_ID=one", "CHATRELAY_MQTT_CA_FILE=" + cert, "CHATRELAY_MQTT_CERT_FILE=" + cert, "CHATRELAY_MQTT_KEY_FILE=" + key,
		"CHATRELAY_MQTT_QOS=1", "CHATRELAY_MQTT_WINDOW=500", "CHATRELAY_MQTT_VERSION=3.1.1", "CHATRELAY_MQTT_SESSION_EXPIRY=24h", "CHATRELAY_TOPIC_PREFIX=in/box", "CHATRELAY_STATUS_TOPIC=off",
		"CHATRELAY_XMPP_MODE=client", "CHATRELAY_XMPP_BODY=json", "CHATRELAY_XMPP_JID=receiver@example.org", "CHATRELAY_XMPP_PASSWORD_FILE=" + file(t, "from file\n"), "CHATRELAY_XMPP_ADDR=[::1]:5222",
		"CHATRELAY_XMPP_TLS=direct", "CHATRELAY_XMPP_TLS_INSECURE=true", "CHATRELAY_XMPP_CA_FILE=" + cert, "CHATRELAY_XMPP_USER_DOMAIN=users.example.org",
		"CHATRELAY_XMPP_RESOURCE=r1", "CHATRELAY_XMPP_NICK=post", "CHATRELAY_XMPP_ROOMS=hall@rooms.example.org, team@rooms.example.org",
		"CHATRELAY_LANDLINE_PATTERN=[A-Za-z0-9]{1,9}", "CHATRELAY_MAX_MESSAGE=64KiB", "CHATRELAY_NOTICES=failed", "CHATRELAY_IDENTITY_FILE=" + identity,
		"CHATRELAY_GROUPS_FILE=" + groups, "CHATRELAY_GROUP_SENDERS=any", "CHATRELAY_ROOM_TALK=all", "CHATRELAY_TRUSTED_JIDS=bot@example.org", "CHATRELAY_STORE=memory", "CHATRELAY_STORE_SYNC=os",
		"CHATRELAY_STORE_MAX_BYTES=8MiB", "CHATRELAY_STORE_MAX_PENDING=77", "CHATRELAY_DEDUP_WINDOW=1h", "CHATRELAY_DEDUP_MAX_KEYS=5", "CHATRELAY_TRACE_MAX_BYTES=2MiB", "CHATRELAY_HTTP_ADDR=0.0.0.0:80",
		"CHATRELAY_HTTP_TOKEN=t", "CHATRELAY_CONSOLE_TOKEN=0123456789abcdef", "CHATRELAY_CONSOLE_READ_TOKEN_FILE=" + file(t, "fedcba9876543210\n"), "CHATRELAY_CONSOLE_HOSTS=Relay.example.org, box", "CHATRELAY_LOG_LEVEL=debug", "CHATRELAY_LOG_FORMAT=json", "CHATRELAY_DRAIN_TIMEOUT=3s",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.MQTT.Addresses(); !slices.Equal(got, []string{"ssl://u:pw@b1:8883", "wss://b2/mqtt"}) {
		t.Errorf("brokers %q", got)
	}
	for name, read := range map[string]func() (string, error){" p ": c.MQTT.Secret(), "from file": c.XMPP.Secret(), "t": c.HTTP.Secret(),
		"0123456789abcdef": c.Console.Secret(), "fedcba9876543210": c.Console.ReadSecret()} {
		if got, err := read(); got != name || err != nil {
			t.Errorf("secret %q, %v; want %q", got, err, name)
		}
	}
	c.MQTT.URLs, c.MQTT.Password, c.XMPP.PasswordFile, c.HTTP.Token, c.Console.Token, c.Console.ReadTokenFile = nil, "", "", "", "", ""
	want := Config{
		MQTT: MQTT{Username: "u", ClientID: "one", CAFile: cert, CertFile: cert, KeyFile: key, QoS: 1, Window: 500, Version: "3.1.1", SessionExpiry: 24 * time.Hour, Prefix: "in/box", StatusTopic: "off"},
		XMPP: XMPP{Mode: "client", Body: "json", JID: "receiver@example.org", Addr: "[::1]:5222", TLS: "direct", TLSInsecure: true, CAFile: cert, UserDomain: "users.example.org",
			Resource: "r1", Nick: "post", Rooms: JIDList{"hall@rooms.example.org", "team@rooms.example.org"}},
		Messages: Messages{LandlinePattern: "[A-Za-z0-9]{1,9}", MaxMessage: 64 << 10, Notices: Notices{Failed: true}, IdentityFile: identity,
			GroupsFile: groups, GroupSenders: "any", RoomTalk: "all", Trusted: JIDList{"bot@example.org"}},
		Store: Store{Dir: "memory", Sync: "os", MaxBytes: 8 << 20, MaxPending: 77, TraceMaxBytes: 2 << 20, DedupWindow: time.Hour, DedupMaxKeys: 5},
		HTTP:  HTTP{Addr: "0.0.0.0:80"}, Console: Console{Hosts: HostList{"relay.example.org", "box"}}, Log: Log{Level: "debug", Format: "json"}, Process: Process{Drain: 3 * time.Second},
		Files: Files{Groups: map[string][]string{"hall@rooms.example.org": nil, "team@rooms.example.org": {"1001", "1002"}, "club@rooms.example.org": {"1001"}},
			Identity: map[string]string{"Desk": "desk-one@example.org", "1001": "alice@other.example"}},
	}
	if c.MQTTRoots == nil || c.XMPPRoots == nil || len(c.MQTTCertificates) != 1 {
		t.Error("the certificates were not read")
	}
	want.MQTTRoots, want.XMPPRoots, want.MQTTCertificates = c.MQTTRoots, c.XMPPRoots, c.MQTTCertificates
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if c.MQTT.Topic() != "" || c.XMPP.Domain() != "users.example.org" || c.HTTP.Loopback() {
		t.Errorf("status topic %q, domain %q, loopback %v", c.MQTT.Topic(), c.XMPP.Domain(), c.HTTP.Loopback())
	}
}

// TestProblems: each thing that can be wrong is said, with its variable and what would be right, once.
func TestProblems(t *testing.T) {
	cert, key := pair(t)
	tests := map[string]struct {
		env      []string // CHATRELAY_ is put in front
		variable string   // the same
		says     []string
	}{
		"unknown name":             {[]string{"MQTT_HOST=x"}, "MQTT_HOST", []string{"is no setting", "did you mean CHATRELAY_MQTT_QOS?"}},
		"misspelt name":            {[]string{"XMPP_PASWORD=hush"}, "XMPP_PASWORD", []string{"did you mean CHATRELAY_XMPP_PASSWORD?"}},
		"a port of no Service":     {[]string{"MQTT_PORT=1883"}, "MQTT_PORT", []string{"is no setting"}},
		"url without scheme":       {[]string{"MQTT_URL=localhost:1883"}, "MQTT_URL", []string{"no scheme that is known in place 1", "tcp, ssl, ws or wss"}},
		"url of another kind":      {[]string{"MQTT_URL=tcp://a:1,http://b"}, "MQTT_URL", []string{"in place 2"}},
		"login without TLS":        {[]string{"MQTT_URL=tcp://localhost:1,tcp://192.0.2.1:1883", "MQTT_USERNAME=u"}, "MQTT_URL", []string{"no TLS in place 2", "MQTT_TLS_INSECURE=true"}},
		"login in a url":           {[]string{"MQTT_URL=ws://u:sesame@b.example/mqtt"}, "MQTT_URL", []string{"no TLS in place 1"}},
		"login by mqtt":            {[]string{"MQTT_URL=mqtt://b.example", "MQTT_USERNAME=u"}, "MQTT_URL", []string{"no TLS in place 1"}},
		"url without host":         {[]string{"MQTT_URL=tcp://:1883"}, "MQTT_URL", []string{"names no host"}},
		"no url":                   {[]string{"MQTT_URL=tcp://u:sesame@[::1"}, "MQTT_URL", []string{"has no URL in place 1"}},
		"password without name":    {[]string{"MQTT_PASSWORD=sesame"}, "MQTT_PASSWORD", []string{"without a user name", "CHATRELAY_MQTT_USERNAME"}},
		"password twice":           {[]string{"MQTT_USERNAME=u", "MQTT_PASSWORD=sesame", "MQTT_PASSWORD_FILE=" + file(t, "x")}, "MQTT_PASSWORD", []string{"both set"}},
		"password file missing":    {[]string{"MQTT_USERNAME=u", "MQTT_PASSWORD_FILE=/nowhere/x"}, "MQTT_PASSWORD_FILE", []string{"no such file"}},
		"password file empty":      {[]string{"MQTT_USERNAME=u", "MQTT_PASSWORD_FILE=" + file(t, "\n")}, "MQTT_PASSWORD_FILE", []string{"is empty"}},
		"client id with control":   {[]string{"MQTT_CLIENT_ID=a\x01b", "STATUS_TOPIC=off"}, "MQTT_CLIENT_ID", []string{"control characters"}},
		"client id too long":       {[]string{"MQTT_CLIENT_ID=" + strings.Repeat("x", 201)}, "MQTT_CLIENT_ID", []string{"at most 200"}},
		"client id is a member":    {[]string{"MQTT_CLIENT_ID=1001", "GROUPS_FILE=" + file(t, "r@s.example,1001")}, "MQTT_CLIENT_ID", []string{"a landline in CHATRELAY_GROUPS_FILE"}},
		"client id is in a row":    {[]string{"MQTT_CLIENT_ID=1001", "IDENTITY_FILE=" + file(t, "1001,a@s.example")}, "MQTT_CLIENT_ID", []string{"a landline in CHATRELAY_IDENTITY_FILE"}},
		"ca without tls":           {[]string{"MQTT_CA_FILE=" + cert}, "MQTT_CA_FILE", []string{"no broker is reached over TLS", "ssl or wss"}},
		"ca is no certificate":     {[]string{"MQTT_URL=ssl://b", "MQTT_CA_FILE=" + key}, "MQTT_CA_FILE", []string{"holds no certificate"}},
		"ca missing":               {[]string{"MQTT_URL=ssl://b", "MQTT_CA_FILE=/nowhere"}, "MQTT_CA_FILE", []string{"no such file"}},
		"certificate without key":  {[]string{"MQTT_URL=ssl://b", "MQTT_CERT_FILE=" + cert}, "MQTT_KEY_FILE", []string{"is missing"}},
		"key without certificate":  {[]string{"MQTT_URL=ssl://b", "MQTT_KEY_FILE=" + key}, "MQTT_CERT_FILE", []string{"is missing"}},
		"certificate without tls":  {[]string{"MQTT_CERT_FILE=" + cert, "MQTT_KEY_FILE=" + key}, "MQTT_CERT_FILE", []string{"no broker is reached over TLS"}},
		"certificate is a key":     {[]string{"MQTT_URL=ssl://b", "MQTT_CERT_FILE=" + key, "MQTT_KEY_FILE=" + key}, "MQTT_CERT_FILE", []string{"cannot be used"}},
		"qos 0":                    {[]string{"MQTT_QOS=0"}, "MQTT_QOS", []string{"2 or 1", "nothing is ever confirmed"}},
		"qos 3":                    {[]string{"MQTT_QOS=3"}, "MQTT_QOS", []string{"is 3", "2 or 1"}},
		"qos in words":             {[]string{"MQTT_QOS=two"}, "MQTT_QOS", []string{`"two"`, "whole number"}},
		"window 0":                 {[]string{"MQTT_WINDOW=0"}, "MQTT_WINDOW", []string{"from 1 to 10000"}},
		"window too wide":          {[]string{"MQTT_WINDOW=10001"}, "MQTT_WINDOW", []string{"from 1 to 10000"}},
		"prefix with +":            {[]string{"TOPIC_PREFIX=/c+"}, "TOPIC_PREFIX", []string{"without + and #"}},
		"prefix with #":            {[]string{"TOPIC_PREFIX=#"}, "TOPIC_PREFIX", []string{"without + and #"}},
		"prefix with control":      {[]string{"TOPIC_PREFIX=a\x02"}, "TOPIC_PREFIX", []string{"is"}},
		"prefix with slash":        {[]string{"TOPIC_PREFIX=/chat/"}, "TOPIC_PREFIX", []string{"ends in /"}},
		"prefix of the broker's":   {[]string{"TOPIC_PREFIX=$SYS/x"}, "TOPIC_PREFIX", []string{"begins with $"}},
		"status with #":            {[]string{"STATUS_TOPIC=a/#"}, "STATUS_TOPIC", []string{"without + and #"}},
		"status by client id":      {[]string{"MQTT_CLIENT_ID=a+b"}, "STATUS_TOPIC", []string{"chatrelay/a+b/status"}},
		"status among inboxes":     {[]string{"STATUS_TOPIC=/chat/1001"}, "STATUS_TOPIC", []string{"lies among the inboxes"}},
		"no jid":                   {[]string{"XMPP_JID="}, "XMPP_JID", []string{"is missing", "receiver@example.org"}},
		"jid without name":         {[]string{"XMPP_JID=example.org"}, "XMPP_JID", []string{"no name before the @"}},
		"jid with resource":        {[]string{"XMPP_JID=a@example.org/r"}, "XMPP_JID", []string{"write a@example.org", "CHATRELAY_XMPP_RESOURCE"}},
		"jid in capitals":          {[]string{"XMPP_JID=Receiver@example.org"}, "XMPP_JID", []string{"write receiver@example.org"}},
		"jid that is none":         {[]string{"XMPP_JID=@@"}, "XMPP_JID", []string{"is no JID"}},
		"no password":              {[]string{"XMPP_PASSWORD="}, "XMPP_PASSWORD", []string{"is missing", "CHATRELAY_XMPP_PASSWORD_FILE"}},
		"xmpp password twice":      {[]string{"XMPP_PASSWORD_FILE=" + file(t, "x")}, "XMPP_PASSWORD", []string{"both set"}},
		"addr without port":        {[]string{"XMPP_ADDR=host"}, "XMPP_ADDR", []string{"host:port"}},
		"tls of no kind":           {[]string{"XMPP_TLS=yes"}, "XMPP_TLS", []string{`"yes"`, "starttls, direct or off"}},
		"tls off, remote domain":   {[]string{"XMPP_TLS=off"}, "XMPP_TLS", []string{"not on loopback", "CHATRELAY_XMPP_TLS_INSECURE=true"}},
		"tls off, remote addr":     {[]string{"XMPP_TLS=off", "XMPP_ADDR=10.0.0.1:5222"}, "XMPP_TLS", []string{"not on loopback"}},
		"insecure in words":        {[]string{"XMPP_TLS_INSECURE=maybe"}, "XMPP_TLS_INSECURE", []string{"true or false"}},
		"xmpp ca, tls off":         {[]string{"XMPP_TLS=off", "XMPP_ADDR=127.0.0.1:5222", "XMPP_CA_FILE=" + cert}, "XMPP_CA_FILE", []string{"CHATRELAY_XMPP_TLS is off"}},
		"xmpp ca is none":          {[]string{"XMPP_CA_FILE=" + key}, "XMPP_CA_FILE", []string{"holds no certificate"}},
		"user domain":              {[]string{"XMPP_USER_DOMAIN=a@b.example"}, "XMPP_USER_DOMAIN", []string{"write a domain"}},
		"resource with control":    {[]string{"XMPP_RESOURCE=a\x03"}, "XMPP_RESOURCE", []string{"short name"}},
		"nick with control":        {[]string{"XMPP_NICK=a\tb"}, "XMPP_NICK", []string{"short name"}},
		"room without name":        {[]string{"XMPP_ROOMS=rooms.example.org"}, "XMPP_ROOMS", []string{"no name before the @"}},
		"pattern that is none":     {[]string{"LANDLINE_PATTERN=[0-9"}, "LANDLINE_PATTERN", []string{"no regular expression", "RE2"}},
		"pattern out of its group": {[]string{"LANDLINE_PATTERN=a)|(?:.*"}, "LANDLINE_PATTERN", []string{"no regular expression"}},
		"pattern for anything":     {[]string{"LANDLINE_PATTERN=.*"}, "LANDLINE_PATTERN", []string{"for a landline"}},
		"pattern with slash":       {[]string{"LANDLINE_PATTERN=[a-z/]+"}, "LANDLINE_PATTERN", []string{`takes "/"`}},
		"size in words":            {[]string{"MAX_MESSAGE=big"}, "MAX_MESSAGE", []string{`"big"`, "192KiB"}},
		"message too small":        {[]string{"MAX_MESSAGE=1023"}, "MAX_MESSAGE", []string{"from 1KiB to 16MiB"}},
		"message too large":        {[]string{"MAX_MESSAGE=17MiB"}, "MAX_MESSAGE", []string{"from 1KiB to 16MiB"}},
		"message and small store":  {[]string{"MAX_MESSAGE=820KiB", "STORE_MAX_BYTES=4MiB"}, "MAX_MESSAGE", []string{"more than 819KiB", "4100KiB or more"}},
		"notices":                  {[]string{"NOTICES=sent,told"}, "NOTICES", []string{`holds "told"`, "sent, delayed, failed"}},
		"notices of a component":   {[]string{"NOTICES=sent,read"}, "NOTICES", []string{"a component only", "XMPP_MODE"}},
		"notices and off":          {[]string{"NOTICES=off,sent"}, "NOTICES", []string{`holds "off"`}},
		"senders in other words":   {[]string{"GROUP_SENDERS=everybody"}, "GROUP_SENDERS", []string{"write members or any"}},
		"trusted with resource":    {[]string{"TRUSTED_JIDS=bot@example.org/x"}, "TRUSTED_JIDS", []string{"write bot@example.org"}},
		"sync":                     {[]string{"STORE_SYNC=off"}, "STORE_SYNC", []string{"full or os"}},
		"pending below nothing":    {[]string{"STORE_MAX_PENDING=-1"}, "STORE_MAX_PENDING", []string{"at least 1"}},
		"store too small":          {[]string{"STORE_MAX_BYTES=1MiB"}, "STORE_MAX_BYTES", []string{"at least 4MiB"}},
		"dedup window":             {[]string{"DEDUP_WINDOW=0"}, "DEDUP_WINDOW", []string{"at least 1s"}},
		"dedup window in words":    {[]string{"DEDUP_WINDOW=1day"}, "DEDUP_WINDOW", []string{"10s, 5m or 24h"}},
		"dedup keys":               {[]string{"DEDUP_MAX_KEYS=0"}, "DEDUP_MAX_KEYS", []string{"at least 1"}},
		"http addr":                {[]string{"HTTP_ADDR=8080"}, "HTTP_ADDR", []string{"host:port"}},
		"token twice":              {[]string{"HTTP_TOKEN=sesame", "HTTP_TOKEN_FILE=" + file(t, "x")}, "HTTP_TOKEN", []string{"both set"}},
		"console token short":      {[]string{"CONSOLE_TOKEN=sesame"}, "CONSOLE_TOKEN", []string{"16 characters"}},
		"short in its file":        {[]string{"CONSOLE_READ_TOKEN_FILE=" + file(t, "sesame")}, "CONSOLE_READ_TOKEN_FILE", []string{"16 characters"}},
		"console token twice":      {[]string{"CONSOLE_TOKEN=sesame-0123456789", "CONSOLE_TOKEN_FILE=" + file(t, "x")}, "CONSOLE_TOKEN", []string{"both set"}},
		"both tokens the same":     {[]string{"CONSOLE_TOKEN=sesame-0123456789", "CONSOLE_READ_TOKEN_FILE=" + file(t, "sesame-0123456789")}, "CONSOLE_READ_TOKEN", []string{"another one"}},
		"console hosts, no token":  {[]string{"CONSOLE_HOSTS=relay.example.org"}, "CONSOLE_HOSTS", []string{"there is no console"}},
		"a URL as a host":          {[]string{"CONSOLE_TOKEN=sesame-0123456789", "CONSOLE_HOSTS=https://relay.example.org"}, "CONSOLE_HOSTS", []string{"without scheme"}},
		"IPv6 without brackets":    {[]string{"MQTT_URL=tcp://u:hunter2@::1:1883"}, "MQTT_URL", []string{"tcp://[::1]:1883"}},
		"that, without a port":     {[]string{"MQTT_URL=ssl://2001:db8::5:6:7/x"}, "MQTT_URL", []string{"ssl://[2001:db8::5:6]:7"}},
		"client id a number":       {[]string{"MQTT_CLIENT_ID=1001"}, "MQTT_CLIENT_ID", []string{"a landline"}},
		"client id by own pattern": {[]string{"MQTT_CLIENT_ID=p-relay", "LANDLINE_PATTERN=p-[a-z]+"}, "MQTT_CLIENT_ID", []string{"LANDLINE_PATTERN"}},
		"an address without host":  {[]string{"XMPP_ADDR=:5222"}, "XMPP_ADDR", []string{"host:port"}},
		"a port that is none":      {[]string{"XMPP_ADDR=chat:0"}, "XMPP_ADDR", []string{"host:port"}},
		"a person in a room's row": {[]string{"XMPP_ROOMS=r@s.example", "IDENTITY_FILE=" + file(t, "1001,r@s.example")}, "IDENTITY_FILE", []string{"is a room"}},
		"log level":                {[]string{"LOG_LEVEL=loud"}, "LOG_LEVEL", []string{"debug, info, warn or error"}},
		"log format":               {[]string{"LOG_FORMAT=xml"}, "LOG_FORMAT", []string{"auto, json or console"}},
		"drain 0":                  {[]string{"DRAIN_TIMEOUT=0"}, "DRAIN_TIMEOUT", []string{"more than 0"}},
		"drain too long":           {[]string{"DRAIN_TIMEOUT=11m"}, "DRAIN_TIMEOUT", []string{"at most 10m"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			env := least()
			for _, e := range tt.env {
				env = append(env, Prefix+e)
			}
			_, err := Load(env)
			var got Problems
			if !errors.As(err, &got) || len(got) != 1 || got[0].Variable != Prefix+tt.variable {
				t.Fatalf("got %v\nwant one problem, with %s", err, Prefix+tt.variable)
			}
			for _, want := range tt.says {
				if !strings.Contains(got[0].String(), want) {
					t.Errorf("it says %q\nand not %q", got[0], want)
				}
			}
			for _, secret := range []string{"hunter2", "sesame", "hush"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("it shows a secret: %v", err)
				}
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for name, env := range map[string][]string{
		"kubernetes, Service chatrelay":      {"SERVICE_HOST=10.0.0.1", "SERVICE_PORT=8080", "SERVICE_PORT_HTTP=8080", "PORT=tcp://10.0.0.1:8080", "PORT_8080_TCP=tcp://10.0.0.1:8080", "PORT_8080_TCP_PROTO=tcp", "PORT_8080_TCP_PORT=8080", "PORT_8080_TCP_ADDR=10.0.0.1"},
		"kubernetes, Service chatrelay-mqtt": {"MQTT_SERVICE_HOST=10.0.0.1", "MQTT_PORT=tcp://10.0.0.1:1883", "MQTT_PORT_1883_TCP_ADDR=10.0.0.1"},
		"tls off by address":                 {"XMPP_TLS=off", "XMPP_ADDR=127.0.0.1:5222"},
		"tls off by name":                    {"XMPP_TLS=off", "XMPP_ADDR=localhost:5222"},
		"tls off by IPv6":                    {"XMPP_TLS=off", "XMPP_ADDR=[::1]:5222"},
		"tls off by domain":                  {"XMPP_TLS=off", "XMPP_JID=a@localhost"},
		"tls off, asked for":                 {"XMPP_TLS=off", "XMPP_TLS_INSECURE=true"},
		"the default client id is no member": {"GROUPS_FILE=" + file(t, "r@s.example,1001")},
		"login on loopback":                  {"MQTT_URL=tcp://127.0.0.2:1883,ws://[::1]/mqtt,tcp://localhost", "MQTT_USERNAME=u"},
		"login over TLS":                     {"MQTT_URL=ssl://b,wss://u:p@b/mqtt", "MQTT_USERNAME=u"},
		"login without TLS, asked for":       {"MQTT_URL=tcp://b", "MQTT_USERNAME=u", "MQTT_TLS_INSECURE=true"},
		"largest of a small store":           {"MAX_MESSAGE=819KiB", "STORE_MAX_BYTES=4MiB"},
		"empty means default":                {"MQTT_QOS=", "LOG_LEVEL=", "STORE_MAX_BYTES="},
		"a console for reading only":         {"CONSOLE_READ_TOKEN=0123456789abcdef", "CONSOLE_HOSTS=relay,relay.example.org"},
		"other schemes":                      {"MQTT_URL=mqtt://a,mqtts://b,tls://c,ws://d/p,tcp://[::1]:1883"},
	} {
		t.Run(name, func(t *testing.T) {
			all := least()
			for _, e := range env {
				all = append(all, Prefix+e)
			}
			if _, err := Load(all); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Load([]string{"CHATRELAY_MQTT_QOS=7", "CHATRELAY_XMPP_ROOMS=a,b", "CHATRELAY_NONSENSE=1"})
	var got Problems
	if !errors.As(err, &got) {
		t.Fatalf("got %v", err)
	}
	var names []string
	for _, p := range got {
		names = append(names, strings.TrimPrefix(p.Variable, Prefix))
	}
	want := []string{"NONSENSE", "MQTT_QOS", "XMPP_JID", "XMPP_PASSWORD", "XMPP_ROOMS", "XMPP_ROOMS"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if text := err.Error(); !strings.HasPrefix(text, "configuration: 6 problems\n  ") || strings.Count(text, "\n") != 6 {
		t.Errorf("one line for each is wanted: %q", text)
	}
}

func TestAbout(t *testing.T) {
	_, err := Load([]string{"CHATRELAY_STORE_SYNC=x", "CHATRELAY_HTTP_ADDR=y"})
	if got := About(err, "STORE"); got == nil || strings.Contains(got.Error(), "HTTP") || strings.Contains(got.Error(), "XMPP") {
		t.Errorf("about STORE: %v", got)
	}
	if got := About(err, "LOG_"); got != nil {
		t.Errorf("about LOG_: %v", got)
	}
	if got := About(nil, "LOG_"); got != nil {
		t.Errorf("about nothing: %v", got)
	}
	if other := errors.New("x"); About(other, "LOG_") != other {
		t.Error("another error is not kept")
	}
}

// pair makes a certificate with its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return file(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret)
}
