package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// RabbitMQ is a broker whose MQTT plugin has neither QoS 2 nor the bridge bit: it answers a QoS 2 PUBLISH with PUBACK, and
// hangs up on a protocol level that it does not know. Whoever gives no name is the user person, password person.
type RabbitMQ struct {
	process
	Dir  string
	Addr string // host:port of MQTT
	URL  string // tcp://host:port
}

// rabbitLimit is for a start on a busy machine: a quiet one takes 10 s.
const rabbitLimit = 90 * time.Second

// NewRabbitMQ starts a broker that ends with the test.
func NewRabbitMQ(tb testing.TB) *RabbitMQ {
	tb.Helper()
	r, err := StartRabbitMQ(tb.Context(), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	r.attach(tb)
	return r
}

// StartRabbitMQ starts a broker with its files in dir, which must exist. End it with Close.
//
// It has a node name, a cookie and an epmd of its own. epmd runs in the broker's process group, and ends with it.
func StartRabbitMQ(ctx context.Context, dir string) (*RabbitMQ, error) {
	r := &RabbitMQ{Dir: dir}
	var ports portSet
	r.ends = append(r.ends, ports.release)
	mqtt, epmd, dist := ports.take(), ports.take(), ports.take()
	r.Addr = loopback(mqtt)
	r.URL = "tcp://" + r.Addr
	program, err := rabbitProgram()
	err = errors.Join(err, ports.err)
	for name, text := range map[string]string{
		"rabbitmq.conf":   rabbitConfig(r.Addr),
		"enabled_plugins": "[rabbitmq_mqtt].\n",
		".erlang.cookie":  strings.Repeat("TEST", 5),
		"start":           fmt.Sprintf("setpriv --pdeathsig KILL epmd -port %d &\nexec %q\n", epmd, program),
	} {
		if err == nil {
			err = writeFile(dir, name, text)
		}
	}
	if err == nil {
		r.cmd = command{
			name: "rabbitmq", pkg: "rabbitmq-server", binary: "sh", args: []string{filepath.Join(dir, "start")},
			env: rabbitEnv(dir, epmd, dist), logFile: filepath.Join(dir, "rabbitmq.log"), waitLimit: rabbitLimit,
			ready: func(ctx context.Context) error { return answersMQTT(ctx, r.Addr) },
		}
		err = r.start(ctx)
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// rabbitProgram is RabbitMQ's own script: the one in the PATH would change the user.
func rabbitProgram() (string, error) {
	const program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	if _, err := os.Stat(program); err != nil {
		return "", errors.New("servers: RabbitMQ is not installed: apt-get install rabbitmq-server")
	}
	return program, nil
}

func rabbitConfig(addr string) string {
	return `listeners.tcp = none
mqtt.listeners.tcp.1 = ` + addr + `
mqtt.allow_anonymous = true
mqtt.default_user = person
mqtt.default_pass = person
default_user = person
default_pass = person
loopback_users = none
log.console = true
log.file = false
vm_memory_high_watermark.absolute = 256MiB
disk_free_limit.absolute = 1MB
`
}

func rabbitEnv(dir string, epmd, dist int) []string {
	in := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"HOME=" + dir, fmt.Sprint("ERL_EPMD_PORT=", epmd), "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_CRASH_DUMP_BYTES=0",
		fmt.Sprintf("RABBITMQ_NODENAME=chatrelay%d@localhost", dist), fmt.Sprint("RABBITMQ_DIST_PORT=", dist),
		"RABBITMQ_MNESIA_BASE=" + in("mnesia"), "RABBITMQ_LOG_BASE=" + dir, "RABBITMQ_PID_FILE=" + in("pid"),
		"RABBITMQ_CONFIG_FILE=" + in("rabbitmq"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + in("enabled_plugins"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}",
	}
}
