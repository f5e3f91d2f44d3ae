package servers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// PostgreSQL is a database server; whoever comes is its superuser chatrelay, without a password.
type PostgreSQL struct {
	process
	Dir  string
	Addr string // host:port
	URL  string // postgres://chatrelay@host:port/postgres
}

// NewPostgreSQL starts a server that ends with the test. Settings are those of postgresql.conf; without one of them nothing is synced.
func NewPostgreSQL(tb testing.TB, settings map[string]string) *PostgreSQL {
	tb.Helper()
	p, err := StartPostgreSQL(tb.Context(), postgresDir(tb), settings)
	if err != nil {
		tb.Fatal(err)
	}
	p.attach(tb)
	return p
}

// postgresDir is a folder that its user may reach: the server does not run as root.
func postgresDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "chatrelay-postgresql-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// StartPostgreSQL starts a server with its files in dir, which must exist. End it with Close.
func StartPostgreSQL(ctx context.Context, dir string, settings map[string]string) (*PostgreSQL, error) {
	return startPostgres(ctx, dir, settings, func(data string) (string, []string) {
		return "initdb", []string{"-D", data, "-U", "chatrelay", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"}
	})
}

// NewStandby starts a streaming standby, by its name, that ends with the test.
func (p *PostgreSQL) NewStandby(tb testing.TB, name string, settings map[string]string) *PostgreSQL {
	tb.Helper()
	s, err := startPostgres(tb.Context(), postgresDir(tb), settings, func(data string) (string, []string) {
		return "pg_basebackup", []string{"-D", data, "-d", p.URL + "?application_name=" + name, "-R", "-c", "fast", "--no-sync"}
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.attach(tb)
	return s
}

// Stop ends it without waiting for those who are connected.
func (p *PostgreSQL) Stop() error { return p.report(p.signal(syscall.SIGINT)) }

// startPostgres has a tool make the data, and starts the server on it.
func startPostgres(ctx context.Context, dir string, settings map[string]string, tool func(data string) (string, []string)) (*PostgreSQL, error) {
	p, data := &PostgreSQL{Dir: dir}, filepath.Join(dir, "data")
	var ports portSet
	p.ends = append(p.ends, ports.release)
	port := ports.take()
	p.Addr = loopback(port)
	p.URL = "postgres://chatrelay@" + p.Addr + "/postgres"
	err := ports.err
	if err == nil {
		err = ownedByPostgres(dir)
	}
	if err == nil {
		err = runAsPostgres(ctx, dir, tool, data)
	}
	if err == nil {
		server := []string{postgresTool("postgres"), "-D", data, "-c", "port=" + strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "logging_collector=off"}
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			server = append(server, "-c", name+"="+settings[name])
		}
		server = asPostgres(server)
		p.cmd = command{
			name: "postgresql", pkg: "postgresql", binary: server[0], args: server[1:], logFile: filepath.Join(dir, "postgresql.log"),
			ready: func(ctx context.Context) error {
				c, err := pgconn.Connect(ctx, p.URL)
				if err != nil {
					return err
				}
				return c.Close(ctx)
			},
		}
		err = p.start(ctx)
	}
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

func runAsPostgres(ctx context.Context, dir string, tool func(data string) (string, []string), data string) error {
	name, args := tool(data)
	words := asPostgres(append([]string{postgresTool(name)}, args...))
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("servers: %s (apt-get install postgresql): %w\n%s", name, err, out)
	}
	return nil
}

// postgresTool is where Debian has its programs, of the newest version.
func postgresTool(name string) string {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return found[len(found)-1]
	}
	return name
}

// asPostgres: it does not run as root.
func asPostgres(words []string) []string {
	if os.Geteuid() != 0 {
		return words
	}
	return append([]string{"setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--pdeathsig", "KILL"}, words...)
}

func ownedByPostgres(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("servers: postgresql is not installed (apt-get install postgresql): %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return errors.Join(err1, err2, os.Chown(dir, uid, gid))
}
