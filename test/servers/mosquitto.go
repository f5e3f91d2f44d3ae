package servers

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// MosquittoConfig says what broker is wanted. The zero value is mosquitto as it comes, for anybody on
// loopback, without persistence.
type MosquittoConfig struct {
	MaxInflight, MaxQueued int               // 0: left out of the file, so mosquitto's defaults (20, 1000)
	MessageSizeLimit       int               // 0: none
	Persistence            bool              // sessions survive Stop
	AutosaveOnChanges      bool              // with Persistence: saved after every change, so that they survive Kill
	Websockets             bool              // WSAddr
	TLS                    bool              // TLSAddr
	RequireClientCert      bool              // on TLSAddr; the certificate's name is the user name
	Users                  map[string]string // name to password; empty: anonymous clients are allowed
	ACL                    string            // content of the acl_file
	UsernameAsClientID     bool              // each client gets its user name for its client id
	Listener               string            // further lines of the listener at Addr
	Extra                  string            // further lines of mosquitto.conf, before the first listener
}

// Mosquitto is a broker of one's own.
type Mosquitto struct {
	process
	Certs
	Dir     string // mosquitto.conf, its log and its database
	Addr    string // host:port
	URL     string // tcp://host:port
	WSAddr  string // with Websockets
	WSURL   string // ws://host:port/mqtt
	TLSAddr string // with TLS
	TLSURL  string // ssl://localhost:port
}

// NewMosquitto starts a broker that ends with the test.
func NewMosquitto(tb testing.TB, cfg MosquittoConfig) *Mosquitto {
	tb.Helper()
	m, err := StartMosquitto(tb.Context(), tb.TempDir(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	m.attach(tb)
	return m
}

// StartMosquitto starts a broker with its files in dir, which must exist. End it with Close.
func StartMosquitto(ctx context.Context, dir string, cfg MosquittoConfig) (*Mosquitto, error) {
	m := &Mosquitto{Dir: dir}
	var ports portSet
	m.ends = append(m.ends, ports.release)
	conf, err := m.configure(cfg, &ports)
	if err == nil {
		err = ports.err
	}
	if err == nil {
		err = writeFile(dir, "mosquitto.conf", conf)
	}
	if err == nil {
		m.cmd = m.command()
		err = m.start(ctx)
	}
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Mosquitto) command() command {
	others := slices.DeleteFunc([]string{m.WSAddr, m.TLSAddr}, func(a string) bool { return a == "" })
	return command{
		name: "mosquitto", pkg: "mosquitto", binary: "mosquitto",
		args:    []string{"-c", filepath.Join(m.Dir, "mosquitto.conf")},
		logFile: filepath.Join(m.Dir, "mosquitto.log"),
		ready: func(ctx context.Context) error {
			if err := answersMQTT(ctx, m.Addr); err != nil {
				return err
			}
			return listens(ctx, others...)
		},
	}
}

// configure writes the files mosquitto.conf names and returns its text.
func (m *Mosquitto) configure(cfg MosquittoConfig, ports *portSet) (string, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("log_dest stderr\nlog_type error\nlog_type warning\nlog_type notice\nlog_type information")
	if os.Getuid() == 0 {
		line("user root") // else it drops to a user who cannot read the test's folder
	}
	for name, n := range map[string]int{"max_inflight_messages": cfg.MaxInflight,
		"max_queued_messages": cfg.MaxQueued, "message_size_limit": cfg.MessageSizeLimit} {
		if n != 0 {
			line("%s %d", name, n)
		}
	}
	line("persistence %t\npersistence_location %s/", cfg.Persistence, m.Dir)
	if cfg.AutosaveOnChanges {
		line("autosave_on_changes true\nautosave_interval 1")
	}
	if err := m.access(cfg, line); err != nil {
		return "", err
	}
	line("%s", cfg.Extra)
	err := m.listeners(cfg, ports, line)
	return b.String(), err
}

func (m *Mosquitto) access(cfg MosquittoConfig, line func(string, ...any)) error {
	line("allow_anonymous %t", len(cfg.Users) == 0)
	if len(cfg.Users) > 0 {
		lines := ""
		for _, user := range slices.Sorted(maps.Keys(cfg.Users)) {
			hash, err := hashPassword(cfg.Users[user])
			if err != nil {
				return err
			}
			lines += user + ":" + hash + "\n"
		}
		line("password_file %s", filepath.Join(m.Dir, "passwords"))
		if err := writeFile(m.Dir, "passwords", lines); err != nil {
			return err
		}
	}
	if cfg.ACL == "" {
		return nil
	}
	line("acl_file %s", filepath.Join(m.Dir, "acl"))
	return writeFile(m.Dir, "acl", cfg.ACL+"\n")
}

func (m *Mosquitto) listeners(cfg MosquittoConfig, ports *portSet, line func(string, ...any)) error {
	port := ports.take()
	m.Addr = loopback(port)
	m.URL = "tcp://" + m.Addr
	line("listener %d 127.0.0.1\nuse_username_as_clientid %t", port, cfg.UsernameAsClientID)
	line("%s", cfg.Listener)
	if cfg.Websockets {
		port := ports.take()
		m.WSAddr = loopback(port)
		m.WSURL = "ws://" + m.WSAddr + "/mqtt"
		line("listener %d 127.0.0.1\nprotocol websockets", port)
	}
	if !cfg.TLS && !cfg.RequireClientCert {
		return nil
	}
	certs, err := MakeCerts(m.Dir, "chatrelay")
	if err != nil {
		return err
	}
	m.Certs = certs
	tls := ports.take()
	m.TLSAddr = loopback(tls)
	m.TLSURL = fmt.Sprintf("ssl://localhost:%d", tls)
	line("listener %d 127.0.0.1\ncafile %s\ncertfile %s\nkeyfile %s", tls, certs.CAFile, certs.CertFile, certs.KeyFile)
	if cfg.RequireClientCert {
		line("require_certificate true\nuse_identity_as_username true")
	}
	return nil
}

// hashPassword makes what mosquitto_passwd makes: PBKDF2-SHA512, 101 rounds, 64 bytes.
func hashPassword(password string) (string, error) {
	salt := make([]byte, 12)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	hash, err := pbkdf2.Key(sha512.New, password, salt, 101, 64)
	if err != nil {
		return "", err
	}
	enc := base64.StdEncoding.EncodeToString
	return "$7$101$" + enc(salt) + "$" + enc(hash), nil
}

func writeFile(dir, name, content string) error {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	return nil
}
