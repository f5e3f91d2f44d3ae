package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// SetACL replaces the acl_file of a broker that has one and lets it read that; living connections stay.
func (m *Mosquitto) SetACL(acl string) error {
	if err := writeFile(m.Dir, "acl", acl+"\n"); err != nil {
		return err
	}
	return m.signalRunning(syscall.SIGHUP)
}

// SetMessageSizeLimit changes message_size_limit of a broker that has one and lets it read that.
func (m *Mosquitto) SetMessageSizeLimit(bytes int) error {
	if err := m.SetOption("message_size_limit", bytes); err != nil {
		return err
	}
	return m.signalRunning(syscall.SIGHUP)
}

// SetOption changes a number in the broker's file, where it stands already. The broker reads it at its next start.
func (m *Mosquitto) SetOption(name string, value int) error {
	file := filepath.Join(m.Dir, "mosquitto.conf")
	conf, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	lines := strings.Split(string(conf), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+" ") })
	if i < 0 {
		return fmt.Errorf("servers: the broker's file has no %s", name)
	}
	lines[i] = fmt.Sprint(name, " ", value)
	return writeFile(m.Dir, "mosquitto.conf", strings.Join(lines, "\n"))
}
