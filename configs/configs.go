// Package configs reads what the relay is told by its environment. It knows names, defaults and what is wrong
// with a value; it connects to nothing and starts nothing. cmd/chatrelay loads, internal/app hands out.
package configs

import "time"

// Prefix is what the name of every setting begins with.
const Prefix = "CHATRELAY_"

// Config is the whole configuration, one struct per room. Its fields' tags are the only list of settings:
// env (name), envDefault, shown (default in words), example (for what is required) and desc.
// Secrets are redacted however it is printed.
type Config struct {
	MQTT     MQTT
	XMPP     XMPP
	Messages Messages
	Store    Store
	HTTP     HTTP
	Console  Console
	Log      Log
	Process  Process

	Files
}

// MQTT is the side towards the broker.
type MQTT struct {
	URLs         []BrokerURL `env:"MQTT_URL" envDefault:"tcp://localhost:1883" desc:"The broker: tcp, ssl, ws or wss, then ://host:port. Several, separated by commas, are tried in this order (mqtt, mqtts and tls are taken too)."`
	Username     string      `env:"MQTT_USERNAME" desc:"Login at the broker."`
	Password     Secret      `env:"MQTT_PASSWORD" desc:"Its password."`
	PasswordFile string      `env:"MQTT_PASSWORD_FILE" desc:"File that holds the password instead; read anew at each login."`
	ClientID     string      `env:"MQTT_CLIENT_ID" envDefault:"chatrelay" desc:"Fixed; never a landline. One relay per account and topic prefix: a second one, whatever its client id, doubles every message."`
	CAFile       string      `env:"MQTT_CA_FILE" shown:"system roots" desc:"PEM file with the authorities that may sign the broker's certificate."`
	CertFile     string      `env:"MQTT_CERT_FILE" desc:"PEM file with the relay's own certificate, where the broker wants one."`
	KeyFile      string      `env:"MQTT_KEY_FILE" desc:"PEM file with its key."`
	TLSInsecure  bool        `env:"MQTT_TLS_INSECURE" envDefault:"false" desc:"true allows a login over tcp:// or ws:// beyond loopback: the password and all messages can then be read on the way."`
	QoS          int         `env:"MQTT_QOS" envDefault:"2" desc:"Of what is published to inboxes: 2 (once) or 1 (at least once). 0 is refused: nothing would ever be confirmed."`
	Window       Window      `env:"MQTT_WINDOW" envDefault:"auto" desc:"Publishes in flight; auto: half of the broker's in-flight limit, at most 400. Never above that half, and at most 10 where the broker does not tell it (by MQTT 5 it does)."`
	Version      string      `env:"MQTT_VERSION" envDefault:"auto" desc:"5, 3.1.1, or auto: the best that the broker knows. By MQTT 5 the broker says which messages it refuses, and why."`

	SessionExpiry time.Duration `env:"MQTT_SESSION_EXPIRY" envDefault:"336h" desc:"How long the broker keeps the session, and what waits there, while the relay is away (MQTT 5)."`

	Prefix      string `env:"TOPIC_PREFIX" envDefault:"/chat" desc:"The inbox of 1001 is the topic /chat/1001."`
	Presence    string `env:"MQTT_PRESENCE" desc:"Of a component: where devices say whether they are there, such as /chat/+/status; + stands for the landline. Without it a landline is shown as available while the relay is."`
	StatusTopic string `env:"STATUS_TOPIC" shown:"chatrelay/<client id>/status" desc:"Retained topic that says whether the relay is there; off: none."`
}

// XMPP is the side towards the chat server.
type XMPP struct {
	Mode         string  `env:"XMPP_MODE" envDefault:"client" desc:"client: the relay logs in to an account, and people send envelopes to it. component (XEP-0114): each landline is an address of its own, <landline>@<XMPP_JID>."`
	JID          string  `env:"XMPP_JID" required:"true" example:"receiver@example.org" desc:"The relay's own account, without a resource; of a component its domain."`
	Password     Secret  `env:"XMPP_PASSWORD" required:"true" example:"change-me" desc:"Its password; of a component the secret that the server has for it."`
	PasswordFile string  `env:"XMPP_PASSWORD_FILE" desc:"File that holds the password instead; read anew at each login."`
	Addr         string  `env:"XMPP_ADDR" shown:"SRV of the domain" desc:"host:port of the server, where DNS does not tell; required of a component, as it never does."`
	TLS          string  `env:"XMPP_TLS" shown:"starttls; off for a component" desc:"starttls, direct (TLS from the first byte) or off (loopback only). A component has no starttls."`
	TLSInsecure  bool    `env:"XMPP_TLS_INSECURE" envDefault:"false" desc:"true allows XMPP_TLS=off beyond loopback: the password and all messages can then be read on the way."`
	CAFile       string  `env:"XMPP_CA_FILE" shown:"system roots" desc:"PEM file with the authorities that may sign the server's certificate."`
	UserDomain   string  `env:"XMPP_USER_DOMAIN" shown:"domain of XMPP_JID" desc:"Where landlines live: 1001 is 1001@<this domain>. Required of a component: people have addresses there, devices at the component."`
	Body         string  `env:"XMPP_BODY" shown:"json; text for a component" desc:"What people write and read: json (envelopes) or text. text is for a component only: there the address says who a message is for."`
	Resource     string  `env:"XMPP_RESOURCE" envDefault:"chatrelay" desc:"Resource of the relay's login. One relay per account and topic prefix: a second resource does not make a second relay possible."`
	Nick         string  `env:"XMPP_NICK" envDefault:"chatrelay" desc:"The relay's nick in rooms."`
	Rooms        JIDList `env:"XMPP_ROOMS" desc:"Rooms to serve, by bare JID, separated by commas; those of GROUPS_FILE are served anyway."`
}

// Messages says what is a message, and whose.
type Messages struct {
	LandlinePattern string  `env:"LANDLINE_PATTERN" envDefault:"[A-Za-z0-9][A-Za-z0-9._-]{0,63}" desc:"Regular expression that a whole landline matches. Characters that would change a topic or a JID are never part of one."`
	MaxMessage      Size    `env:"MAX_MESSAGE" envDefault:"192KiB" desc:"A larger message is refused."`
	Notices         Notices `env:"NOTICES" envDefault:"sent,delayed,failed" desc:"What devices are told: any of sent, delayed, failed; of a component also received, read (of messages to people) and typing; or off."`
	IdentityFile    string  `env:"IDENTITY_FILE" desc:"CSV, landline,jid: landlines whose JID is not <landline>@<user domain>."`
	GroupsFile      string  `env:"GROUPS_FILE" desc:"CSV, groupJid,landline: one member a line, no header."`
	GroupSenders    string  `env:"GROUP_SENDERS" envDefault:"members" desc:"Who may post to a group: members (who has a row for its room in GROUPS_FILE, may speak in the room, or is on its lists as member, admin or owner, but never who is banned there or may only listen), or any: whoever has a landline."`
	RoomTalk        string  `env:"ROOM_TALK" shown:"envelopes; all for a component" desc:"What is a message in a served room: envelopes only, or all, plain talk too."`
	Trusted         JIDList `env:"TRUSTED_JIDS" desc:"Bare JIDs of backends that may speak for others, separated by commas."`
	Allow           Pairs   `env:"ALLOW" shown:"everybody" desc:"Who may talk: a list of landlines (1001, 10*), bare JIDs and domains (@example.org), each with anybody, both ways; or of pairs such as 10*>@example.org, one way. If it is set, all else is refused. Of a group message the room counts."`
	Deny            Pairs   `env:"DENY" desc:"Who may not, in the same form; it wins over ALLOW."`
	SenderRate      int     `env:"SENDER_RATE" envDefault:"0" desc:"Messages a second that one sender may send by XMPP, in the long run; five seconds' worth may come at once. 0: no limit. TRUSTED_JIDS have none."`
}

// GroupMembers is the value of Messages.GroupSenders under which not everybody may post to groups.
const GroupMembers = "members"

// Store is the journal.
type Store struct {
	Dir           string        `env:"STORE" envDefault:"./data" desc:"Folder of the journal; memory: nothing outlives the process (tests only)."`
	Sync          string        `env:"STORE_SYNC" envDefault:"full" desc:"full survives power loss; os survives kill -9 only."`
	MaxBytes      Size          `env:"STORE_MAX_BYTES" envDefault:"1GiB" desc:"Above it nothing new is taken until messages have gone out."`
	MaxPending    int           `env:"STORE_MAX_PENDING" shown:"from the memory limit" desc:"Deliveries that may wait, notices too: they cost memory. Above it nothing new is taken until some have gone out. By default as many as fit in GOMEMLIMIT or the cgroup's limit; without either, any number."`
	TraceMaxBytes Size          `env:"TRACE_MAX_BYTES" envDefault:"256MiB" desc:"What happened to each message is kept beside the journal for chatrelay trace, up to this size and for DEDUP_WINDOW; 0: not at all."`
	DedupWindow   time.Duration `env:"DEDUP_WINDOW" envDefault:"24h" desc:"How long a repeated message is recognised; only time the relay runs counts."`
	DedupMaxKeys  int           `env:"DEDUP_MAX_KEYS" envDefault:"1000000" desc:"How many messages are recognised when they are repeated, at most."`
}

// HTTP is the page for health, metrics and dead letters.
type HTTP struct {
	Addr      string `env:"HTTP_ADDR" envDefault:"127.0.0.1:8080" desc:"Where /livez, /readyz, /metrics, /statusz and /dead are served."`
	Token     Secret `env:"HTTP_TOKEN" desc:"Bearer token that /statusz and /dead ask for, on loopback too; without one they answer only who asks from the relay's own machine, and not through a proxy."`
	TokenFile string `env:"HTTP_TOKEN_FILE" desc:"File that holds the token instead; read anew at each request."`
}

// Console is the page for people, at /console/ of the HTTP address.
type Console struct {
	Token         Secret   `env:"CONSOLE_TOKEN" desc:"Who logs in at /console/ with it sees all and may requeue and drop dead letters; 16 characters at least. Without it and the next there is no console."`
	TokenFile     string   `env:"CONSOLE_TOKEN_FILE" desc:"File that holds the token instead; read anew at each request, so that a new token ends the sessions of the old one."`
	ReadToken     Secret   `env:"CONSOLE_READ_TOKEN" desc:"Token of those who may look and change nothing."`
	ReadTokenFile string   `env:"CONSOLE_READ_TOKEN_FILE" desc:"File that holds that token instead."`
	Hosts         HostList `env:"CONSOLE_HOSTS" desc:"Names by which browsers reach the console, such as relay.example.org, separated by commas. localhost and plain addresses need no entry."`
}

// Log says what is logged, and how. It goes to standard error.
type Log struct {
	Level  string `env:"LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error. Content and secrets are logged at none."`
	Format string `env:"LOG_FORMAT" envDefault:"auto" desc:"json, console, or auto: console on a terminal, else JSON."`
}

// Process says how the process stops.
type Process struct {
	Drain time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s" desc:"How long SIGTERM waits for what is in flight."`
}
