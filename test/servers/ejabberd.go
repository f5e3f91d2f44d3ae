package servers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// StartEjabberd starts an ejabberd with its files in dir, which must exist. End it with Close.
//
// erl is run directly, without distribution: ejabberdctl would change the user, need a node name of its own
// and leave epmd behind. Accounts and rooms are made over ejabberd's HTTP API instead.
func StartEjabberd(ctx context.Context, dir string, cfg XMPPConfig) (*XMPP, error) {
	x, _, err := prepare("ejabberd", dir, &cfg)
	if err != nil {
		return nil, err
	}
	x.WSURL, x.BOSHURL = "ws://"+x.HTTPAddr+"/ws", "http://"+x.HTTPAddr+"/bosh"
	x.add = func(ctx context.Context, user, password string) error {
		return x.ejabberdCall(ctx, "register", map[string]any{"user": user, "host": x.Domain, "password": password})
	}
	x.cmd = x.ejabberdCommand()
	x.Database = filepath.Join(x.databaseDir(), "archive.sqlite")
	err = x.writeEjabberd(cfg)
	if err == nil && cfg.MAM {
		err = x.makeTables(ctx)
	}
	if err == nil {
		err = x.start(ctx)
	}
	if err == nil {
		err = x.populate(ctx, cfg)
	}
	if err == nil && cfg.Settled { // Mnesia's log is seconds behind: a stop writes it down
		if err = x.Stop(); err == nil {
			err = x.start(ctx)
		}
	}
	if err != nil {
		_ = x.Close()
		return nil, err
	}
	return x, nil
}

func (x *XMPP) ejabberdCommand() command {
	return command{
		name: x.Name, pkg: "ejabberd", binary: "erl",
		args: []string{"+K", "true", "+P", "250000", "-noinput",
			"-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(x.Dir, "spool")), "-s", "ejabberd"},
		env: []string{
			"EJABBERD_CONFIG_PATH=" + filepath.Join(x.Dir, "ejabberd.yml"),
			"EJABBERD_LOG_PATH=" + filepath.Join(x.Dir, "ejabberd-own.log"),
			"ERL_LIBS=" + erlLibs(), "ERL_MAX_PORTS=32000", "HOME=" + x.Dir,
			"ERL_CRASH_DUMP_BYTES=0",
		},
		logFile: filepath.Join(x.Dir, "ejabberd.log"), // what it prints is what it logs
		ready:   x.ready,
	}
}

// erlLibs is where Debian's ejabberd keeps its modules: the folder of the machine's architecture.
func erlLibs() string {
	found, _ := filepath.Glob("/usr/lib/*/ejabberd-*") // the pattern is good
	if len(found) == 0 {
		return "/usr/lib"
	}
	return filepath.Dir(found[0])
}

func (x *XMPP) writeEjabberd(cfg XMPPConfig) error {
	if err := os.MkdirAll(filepath.Join(x.Dir, "spool"), 0o700); err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	return writeFile(x.Dir, "ejabberd.yml", x.ejabberdConfig(cfg))
}

// ejabberdConfig writes YAML in its JSON form.
func (x *XMPP) ejabberdConfig(cfg XMPPConfig) string {
	type m = map[string]any
	limit := cmp.Or(cfg.StanzaLimit, 262144)
	c2s := func(addr string) m {
		return m{"port": port(addr), "ip": "127.0.0.1", "module": "ejabberd_c2s", "max_stanza_size": limit, "shaper": "c2s_shaper"}
	}
	plain, direct := c2s(x.Addr), c2s(x.DirectTLSAddr)
	plain["starttls"], plain["starttls_required"] = true, !cfg.PlainAllowed
	direct["tls"] = true
	web := m{"port": port(x.HTTPAddr), "ip": "127.0.0.1", "module": "ejabberd_http",
		"request_handlers": m{"/api": "mod_http_api", "/ws": "ejabberd_http_ws", "/bosh": "mod_bosh"}}
	listen := []m{plain, direct, web}
	if x.Component != "" {
		listen = append(listen, m{"port": port(x.ComponentAddr), "ip": "127.0.0.1", "module": "ejabberd_service",
			"hosts": m{x.Component: m{"password": x.Secret()}}})
	}
	if x.MQTTAddr != "" {
		listen = append(listen, m{"port": port(x.MQTTAddr), "ip": "127.0.0.1", "module": "mod_mqtt", "backlog": 1000})
	}
	shaper, offline := any(m{"none": "all"}), any(m{"infinity": "all"})
	if cfg.RateLimits { // Debian's ejabberd.yml
		shaper, offline = m{"normal": "all"}, m{"100": "all"}
	}
	rooms := m{"host": x.RoomService, "default_room_options": m{"anonymous": cfg.AnonymousRooms, "mam": cfg.RoomArchive}}
	if cfg.RoomInterval > 0 {
		rooms["min_message_interval"] = cfg.RoomInterval
	}
	if cfg.SleepyRooms {
		rooms["preload_rooms"], rooms["hibernation_timeout"] = false, "1 second"
	}
	modules := m{"mod_admin_extra": m{}, "mod_http_api": m{}, "mod_bosh": m{}, "mod_carboncopy": m{}, "mod_disco": m{},
		"mod_muc": rooms, "mod_muc_admin": m{}, "mod_offline": m{"access_max_user_messages": "max_user_offline_messages"},
		"mod_blocking": m{}, "mod_privacy": m{}, "mod_ping": m{}, "mod_roster": m{}, "mod_time": m{}, "mod_version": m{}}
	if cfg.MAM {
		mam := m{"default": cmp.Or(cfg.ArchivePolicy, "always")}
		if cfg.ArchiveFixed {
			mam["access_preferences"] = "none"
		}
		modules["mod_mam"] = mam
	} else if cfg.RoomArchive {
		modules["mod_mam"] = m{"default": "never"}
	}
	if x.MQTTAddr != "" {
		modules["mod_mqtt"] = m{}
	}
	if !cfg.NoSM {
		modules["mod_stream_mgmt"] = streamManagement(cfg)
	}
	doc := m{
		"loglevel": "info", "log_rotate_count": 0, "hosts": []string{x.Domain},
		"certfiles": []string{x.CertFile, x.KeyFile}, "ca_file": x.CAFile,
		"listen": listen, "auth_password_format": "plain",
		"api_permissions": m{"tests": m{"from": []string{"mod_http_api"}, "who": m{"ip": "127.0.0.0/8"}, "what": "*"}},
		"access_rules":    m{"local": m{"allow": "all"}},
		"shaper":          m{"normal": m{"rate": 3000, "burst_size": 20000}},
		"shaper_rules":    m{"max_user_sessions": 10, "max_user_offline_messages": offline, "c2s_shaper": shaper},
		"modules":         modules,
	}
	if cfg.MAM {
		maps.Copy(doc, m{"default_db": "sql", "auth_method": "sql", "sql_type": "sqlite", "sql_database": x.Database})
	}
	out, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		panic(err) // strings, numbers and bools only
	}
	return string(out)
}

// makeTables makes ejabberd's SQLite database by the package's schema: each archived stanza is on the disk at once.
// Mnesia, the default, is slow with an archive and seconds behind.
func (x *XMPP) makeTables(ctx context.Context) error {
	found, _ := filepath.Glob(filepath.Join(erlLibs(), "ejabberd-*", "priv", "sql", "lite.sql")) // the pattern is good
	if len(found) == 0 {
		return errors.New("servers: ejabberd's schema for SQLite is not installed")
	}
	schema, err := os.ReadFile(found[0])
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	return x.makeDatabase(ctx, string(schema))
}

func streamManagement(cfg XMPPConfig) map[string]any {
	sm := map[string]any{"resend_on_timeout": "if_offline"} // Debian's ejabberd.yml
	if cfg.SMQueue > 0 {
		sm["max_ack_queue"] = cfg.SMQueue
	}
	if cfg.SMHibernation > 0 {
		sm["resume_timeout"] = int(cfg.SMHibernation.Seconds())
		sm["max_resume_timeout"] = int(cfg.SMHibernation.Seconds())
	}
	return sm
}

// populate makes accounts and rooms, which then stay in its database.
func (x *XMPP) populate(ctx context.Context, cfg XMPPConfig) error {
	for _, user := range slices.Sorted(maps.Keys(cfg.Users)) {
		if err := x.add(ctx, user, cfg.Users[user]); err != nil {
			return err
		}
	}
	type option struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	options := []option{{"persistent", "true"}, {"anonymous", fmt.Sprint(cfg.AnonymousRooms)}, {"mam", fmt.Sprint(cfg.RoomArchive)}}
	for _, room := range cfg.Rooms {
		args := map[string]any{"name": room, "service": x.RoomService, "host": x.Domain, "options": options}
		if err := x.ejabberdCall(ctx, "create_room_with_opts", args); err != nil {
			return err
		}
		if cfg.RoomOwner == "" {
			continue
		}
		args = map[string]any{"name": room, "service": x.RoomService, "jid": x.JID(cfg.RoomOwner), "affiliation": "owner"}
		if err := x.ejabberdCall(ctx, "set_room_affiliation", args); err != nil {
			return err
		}
	}
	return nil
}

func (x *XMPP) ejabberdCall(ctx context.Context, name string, args map[string]any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+x.HTTPAddr+"/api/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true // no connection is kept that a restart would break
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("servers: ejabberd: %s: %w", name, err)
	}
	defer res.Body.Close()
	output, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return fmt.Errorf("servers: ejabberd: %s: %w", name, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("servers: ejabberd: %s: %s %s", name, res.Status, strings.TrimSpace(string(output)))
	}
	return nil
}

func port(addr string) json.Number {
	_, p, _ := net.SplitHostPort(addr) // made by loopback
	return json.Number(p)
}
