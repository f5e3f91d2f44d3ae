package servers

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"
)

// XMPPConfig says what XMPP server is wanted. The zero value serves chat.test with the default users,
// asks for TLS before a login, has no archive and no rate limits.
type XMPPConfig struct {
	Domain string            // default chat.test
	Users  map[string]string // name to password; default 1001, 1002, 1003 and receiver, each with "pw-"+name

	Settled bool // the accounts are on the disk before it is used, so that it may be killed at once

	PlainAllowed bool // logins without TLS are allowed, and SASL PLAIN there
	PlainOnly    bool // SASL PLAIN is the only way to log in (Prosody)
	MAM          bool // XEP-0313: everything is archived, unless the next say otherwise
	RateLimits   bool // the limits of the Debian package, instead of none; so too for offline messages

	ArchivePolicy string // what is archived of an account that does not say (XEP-0441): always, never or roster; empty: always
	ArchiveFixed  bool   // an account may not say (ejabberd)
	ArchiveSQL    bool   // the archive is in SQLite (Prosody, instead of one file an account; ejabberd's always is)
	ArchiveLimit  int    // items kept of an account, in its archive and in its offline store (Prosody); 0: the server's default

	StanzaLimit int // bytes of a stanza, above which a stream is ended; 0: 256 KiB

	NoSM          bool          // without XEP-0198
	SMQueue       int           // unacknowledged stanzas kept per session; 0: the server's default
	SMHibernation time.Duration // how long a lost session can be resumed; 0: the server's default

	Rooms          []string // names of persistent rooms that are there from the start
	AnonymousRooms bool     // rooms hide real addresses; else everybody sees them
	RoomOwner      string   // user who owns the rooms
	RoomArchive    bool     // rooms have an archive (XEP-0313)
	RoomInterval   float64  // seconds between an occupant's messages (ejabberd's min_message_interval)
	RoomPlugin     string   // Lua of a module for Prosody's rooms
	Plugin         string   // likewise, for its accounts
	SleepyRooms    bool     // rooms that nobody is in leave memory at once, and are not read back at a start

	Component string // name of an external component (XEP-0114), which lives at <name>.<domain>; empty: none
	MQTT      bool   // it is an MQTT broker, too (ejabberd's mod_mqtt); its users log in with their names and passwords
	KickOld   bool   // a second connection takes the component over (Prosody), instead of being refused
}

// XMPP is a server of one's own.
type XMPP struct {
	process
	Certs
	Name          string // prosody or ejabberd
	Dir           string // configuration, log and data
	Domain        string
	RoomService   string // conference.<domain>
	Addr          string // host:port, with STARTTLS
	DirectTLSAddr string // host:port, TLS at once
	HTTPAddr      string // host:port of the next two
	WSURL         string // RFC 7395, without TLS
	BOSHURL       string // XEP-0206, without TLS
	Database      string // SQLite file of the archive; empty: it is in none
	Component     string // domain of the component; empty: there is none
	ComponentAddr string // host:port where it connects, without TLS
	MQTTAddr      string // host:port of mod_mqtt; empty: it is no broker

	users map[string]string
	add   func(ctx context.Context, user, password string) error
}

// NewProsody starts a Prosody that ends with the test.
func NewProsody(tb testing.TB, cfg XMPPConfig) *XMPP {
	tb.Helper()
	return newXMPP(tb, StartProsody, cfg)
}

// NewEjabberd starts an ejabberd that ends with the test.
func NewEjabberd(tb testing.TB, cfg XMPPConfig) *XMPP {
	tb.Helper()
	return newXMPP(tb, StartEjabberd, cfg)
}

func newXMPP(tb testing.TB, start func(context.Context, string, XMPPConfig) (*XMPP, error), cfg XMPPConfig) *XMPP {
	tb.Helper()
	x, err := start(tb.Context(), tb.TempDir(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	x.attach(tb)
	return x
}

// JID is the address of a user of the server's domain.
func (x *XMPP) JID(user string) string { return user + "@" + x.Domain }

// Room is the address of a room of the server.
func (x *XMPP) Room(name string) string { return name + "@" + x.RoomService }

// Password is the password of a user that Users or AddUser named.
func (x *XMPP) Password(user string) string { return x.users[user] }

// AddUser makes an account while the server runs. Not from several goroutines.
func (x *XMPP) AddUser(user, password string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if err := x.add(ctx, user, password); err != nil {
		return x.report(fmt.Errorf("servers: %s: add %s: %w", x.Name, user, err))
	}
	x.users[user] = password
	return nil
}

// Secret is what the component shows.
func (x *XMPP) Secret() string { return "pw-component" }

// prepare fills in what both servers have in common.
func prepare(name, dir string, cfg *XMPPConfig) (*XMPP, *portSet, error) {
	if cfg.Domain == "" {
		cfg.Domain = "chat.test"
	}
	if cfg.Users == nil {
		cfg.Users = map[string]string{}
		for _, u := range []string{"1001", "1002", "1003", "receiver"} {
			cfg.Users[u] = "pw-" + u
		}
	}
	x := &XMPP{Name: name, Dir: dir, Domain: cfg.Domain, RoomService: "conference." + cfg.Domain, users: maps.Clone(cfg.Users)}
	ports := &portSet{}
	x.ends = append(x.ends, ports.release)
	x.Addr, x.DirectTLSAddr, x.HTTPAddr = loopback(ports.take()), loopback(ports.take()), loopback(ports.take())
	if cfg.Component != "" {
		x.Component, x.ComponentAddr = cfg.Component+"."+cfg.Domain, loopback(ports.take())
	}
	if cfg.MQTT {
		x.MQTTAddr = loopback(ports.take())
	}
	if ports.err != nil {
		ports.release()
		return nil, nil, ports.err
	}
	certs, err := MakeCerts(dir, "receiver", x.Domain, x.RoomService)
	if err != nil {
		ports.release()
		return nil, nil, err
	}
	x.Certs = certs
	return x, ports, nil
}

func (x *XMPP) ready(ctx context.Context) error {
	if err := answersXMPP(ctx, x.Addr, x.Domain); err != nil {
		return err
	}
	addrs := []string{x.DirectTLSAddr, x.HTTPAddr}
	if x.ComponentAddr != "" {
		addrs = append(addrs, x.ComponentAddr)
	}
	if x.MQTTAddr != "" {
		addrs = append(addrs, x.MQTTAddr)
	}
	return listens(ctx, addrs...)
}

// attach ties a server to a test: errors fail it, the end of the test ends the server, and a failed test
// shows the server's log.
func (p *process) attach(tb testing.TB) {
	p.fail = func(err error) { tb.Helper(); tb.Error(err) }
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
		if tb.Failed() {
			tb.Logf("%s log ends with:\n%s", p.cmd.name, p.Log())
		}
	})
}
