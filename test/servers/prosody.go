package servers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// StartProsody starts a Prosody with its files in dir, which must exist. End it with Close.
func StartProsody(ctx context.Context, dir string, cfg XMPPConfig) (*XMPP, error) {
	x, _, err := prepare("prosody", dir, &cfg)
	if err != nil {
		return nil, err
	}
	x.WSURL, x.BOSHURL = "ws://"+x.HTTPAddr+"/xmpp-websocket", "http://"+x.HTTPAddr+"/http-bind"
	x.add = func(_ context.Context, user, password string) error { return x.writeProsodyUser(user, password) }
	file := filepath.Join(dir, "prosody.cfg.lua")
	x.cmd = command{
		name: x.Name, pkg: "prosody", binary: "prosody", args: []string{"-F", "--config", file},
		logFile: filepath.Join(dir, "prosody.log"), ready: x.ready,
	}
	if cfg.ArchiveSQL {
		x.Database = filepath.Join(x.databaseDir(), "archive.sqlite")
		err = x.makeDatabase(ctx, "")
	}
	if err == nil {
		err = x.writeProsody(cfg)
	}
	if err == nil {
		err = x.start(ctx)
	}
	if err != nil {
		_ = x.Close()
		return nil, err
	}
	return x, nil
}

func (x *XMPP) writeProsody(cfg XMPPConfig) error {
	if err := os.MkdirAll(filepath.Join(x.Dir, "certs"), 0o700); err != nil { // it logs an error without
		return fmt.Errorf("servers: %w", err)
	}
	if err := writeFile(x.Dir, "prosody.cfg.lua", x.prosodyConfig(cfg)); err != nil {
		return err
	}
	for name, lua := range map[string]string{roomPlugin: cfg.RoomPlugin, plugin: cfg.Plugin} {
		if err := x.writeProsodyPlugin(name, lua); err != nil {
			return err
		}
	}
	for _, user := range slices.Sorted(maps.Keys(cfg.Users)) {
		if err := x.writeProsodyUser(user, cfg.Users[user]); err != nil {
			return err
		}
	}
	return x.writeProsodyRooms(cfg)
}

func (x *XMPP) prosodyConfig(cfg XMPPConfig) string {
	modules := []string{"roster", "saslauth", "tls", "disco", "ping", "time", "version", "posix", "carbons", "blocklist", "private", "websocket", "bosh"}
	var b strings.Builder
	set := func(name, value string) { fmt.Fprintf(&b, "%s = %s\n", name, value) }
	set("run_as_root", fmt.Sprint(os.Getuid() == 0))
	set("data_path", quoteLua(filepath.Join(x.Dir, "data")))
	set("plugin_paths", "{ "+quoteLua(filepath.Join(x.Dir, "plugins"))+" }")
	set("log", `{ info = "*console" }`)
	set("interfaces", `{ "127.0.0.1" }`)
	set("c2s_ports", luaPort(x.Addr))
	set("c2s_direct_tls_ports", luaPort(x.DirectTLSAddr))
	set("http_interfaces", `{ "127.0.0.1" }`)
	set("http_ports", luaPort(x.HTTPAddr))
	set("https_ports", "{ }")
	set("http_default_host", quoteLua(x.Domain))
	set("consider_websocket_secure", "true")
	set("consider_bosh_secure", "true")
	set("cross_domain_websocket", "true")
	set("modules_disabled", `{ "s2s" }`)
	if x.Component != "" {
		set("component_ports", luaPort(x.ComponentAddr))
		set("component_interfaces", `{ "127.0.0.1" }`)
	}
	set("storage", storageOf(cfg))            // once: Prosody 0.12 does not start where a setting comes twice
	set("authentication", `"internal_plain"`) // the login is SCRAM all the same
	set("c2s_require_encryption", fmt.Sprint(!cfg.PlainAllowed))
	set("allow_unencrypted_plain_auth", fmt.Sprint(cfg.PlainAllowed))
	if cfg.PlainOnly {
		set("disable_sasl_mechanisms", `{ "SCRAM-SHA-1"; "SCRAM-SHA-256"; "DIGEST-MD5" }`)
	}
	ssl := fmt.Sprintf("{ key = %s; certificate = %s }", quoteLua(x.KeyFile), quoteLua(x.CertFile))
	set("ssl", ssl)
	set("c2s_direct_tls_ssl", ssl)
	if cfg.RateLimits {
		modules = append(modules, "limits")
		set("limits", `{ c2s = { rate = "10kb/s" } }`) // Debian's prosody.cfg.lua
	}
	if cfg.StanzaLimit > 0 {
		set("c2s_stanza_size_limit", fmt.Sprint(cfg.StanzaLimit))
	}
	if !cfg.NoSM {
		modules = append(modules, "smacks")
	}
	if cfg.SMQueue > 0 {
		set("smacks_max_queue_size", fmt.Sprint(cfg.SMQueue))
	}
	if cfg.SMHibernation > 0 {
		set("smacks_hibernation_time", fmt.Sprint(cfg.SMHibernation.Seconds()))
	}
	if cfg.MAM {
		modules = append(modules, "mam")
		policy := map[string]string{"never": "false", "roster": `"roster"`}[cfg.ArchivePolicy]
		set("default_archive_policy", cmp.Or(policy, "true"))
		set("archive_expires_after", `"never"`)
	}
	if cfg.ArchiveSQL {
		set("sql", fmt.Sprintf("{ driver = \"SQLite3\"; database = %s }", quoteLua(x.Database)))
	}
	if cfg.ArchiveLimit > 0 {
		set("storage_archive_item_limit", fmt.Sprint(cfg.ArchiveLimit))
	}
	if cfg.Plugin != "" {
		modules = append(modules, plugin)
	}
	for i, m := range modules {
		modules[i] = quoteLua(m)
	}
	set("modules_enabled", "{ "+strings.Join(modules, "; ")+" }")
	fmt.Fprintf(&b, "VirtualHost %s\n", quoteLua(x.Domain))
	fmt.Fprintf(&b, "Component %s \"muc\"\n", quoteLua(x.RoomService))
	fmt.Fprintf(&b, "\tmuc_room_locking = false\n\tmuc_tombstones = false\n\tmuc_room_default_public_jids = %t\n", !cfg.AnonymousRooms)
	var ofRooms []string
	if cfg.RoomArchive {
		ofRooms = append(ofRooms, `"muc_mam"`)
		fmt.Fprintf(&b, "\tmuc_log_by_default = true\n")
	}
	if cfg.RoomPlugin != "" {
		ofRooms = append(ofRooms, quoteLua(roomPlugin))
	}
	fmt.Fprintf(&b, "\tmodules_enabled = { %s }\n", strings.Join(ofRooms, "; "))
	if x.Component != "" {
		fmt.Fprintf(&b, "Component %s\n\tcomponent_secret = %s\n", quoteLua(x.Component), quoteLua(x.Secret()))
		if cfg.KickOld {
			fmt.Fprintf(&b, "\tcomponent_conflict_resolve = \"kick_old\"\n")
		}
	}
	return b.String()
}

func (x *XMPP) writeProsodyUser(user, password string) error {
	return x.writeProsodyData(x.Domain, filepath.Join("accounts", luaFile(user)),
		fmt.Sprintf(`{ ["password"] = %s; }`, quoteLua(password)))
}

// Names of the modules that a test brings.
const (
	roomPlugin = "tested_rooms"
	plugin     = "tested"
)

func (x *XMPP) writeProsodyPlugin(name, lua string) error {
	dir := filepath.Join(x.Dir, "plugins")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	return writeFile(dir, "mod_"+name+".lua", lua)
}

// writeProsodyRooms writes what mod_muc itself would have saved for the rooms.
func (x *XMPP) writeProsodyRooms(cfg XMPPConfig) error {
	whois := "anyone"
	if cfg.AnonymousRooms {
		whois = "moderators"
	}
	index, owner := "", ""
	if cfg.RoomOwner != "" {
		owner = fmt.Sprintf(`[%s] = "owner"; `, quoteLua(x.JID(cfg.RoomOwner)))
	}
	for _, name := range cfg.Rooms {
		jid := quoteLua(x.Room(name))
		index += fmt.Sprintf("[%s] = true; ", jid)
		room := fmt.Sprintf(`{ ["jid"] = %s; ["_data"] = { ["persistent"] = true; ["whois"] = %q; }; ["_affiliations"] = { %s}; ["_affiliation_data"] = { }; }`, jid, whois, owner)
		if err := x.writeProsodyData(x.RoomService, filepath.Join("config", luaFile(name)), room); err != nil {
			return err
		}
	}
	return x.writeProsodyData(x.RoomService, "persistent", "{ "+index+"}")
}

func (x *XMPP) writeProsodyData(host, name, value string) error {
	file := filepath.Join(x.Dir, "data", luaFile(host), name+".dat")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	return writeFile(filepath.Dir(file), filepath.Base(file), "return "+value+";\n")
}

// Stored tells whether Prosody's offline store has something for a user.
func (x *XMPP) Stored(user string) bool {
	at, err := os.Stat(filepath.Join(x.Dir, "data", luaFile(x.Domain), "offline", luaFile(user)+".list"))
	return err == nil && at.Size() > 0
}

// luaFile is a name as Prosody's util.datamanager writes it in file names.
func luaFile(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func luaPort(addr string) string {
	_, port, _ := net.SplitHostPort(addr) // made by loopback
	return "{ " + port + " }"
}

// storageOf is where Prosody keeps what it keeps.
func storageOf(cfg XMPPConfig) string {
	if cfg.ArchiveSQL {
		return `{ archive = "sql" }` // the rest stays in files
	}
	return `"internal"`
}
