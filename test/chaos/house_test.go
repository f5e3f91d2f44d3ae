package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// ownClock runs the relay with a clock that can be stepped, as no process but it can see: time.Now of its standard
// library is replaced by the build.
func ownClock(r *trial) {
	dir := r.t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	r.check("go env", err)
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		r.t.Skipf("no standard library to change: %v", err)
	}
	const clock = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	stepped := strings.Replace(string(text), clock, clock+"\tsec += chaosStep\n", 1) +
		"\nvar chaosStep int64\n\n// ChaosStep steps the wall clock by seconds.\nfunc ChaosStep(n int64) { chaosStep += n }\n"
	if !strings.Contains(stepped, "sec += chaosStep") {
		r.t.Skip("this Go has another time.Now")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: filepath.Join(dir, "time.go")}})
	r.check("overlay", err)
	r.check("overlay", os.WriteFile(filepath.Join(dir, "time.go"), []byte(stepped), 0o600))
	r.check("overlay", os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	built, err := stage.Build(dir, "chatrelay/test/chaos/relay", "-tags", "clockstep", "-overlay", filepath.Join(dir, "overlay.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.clock = filepath.Join(dir, "step")
	r.s.Relay.Stop()
	r.s.Relay.Run(built)
	r.s.Relay.Besides["CHAOS_CLOCK"] = r.clock
	r.s.Relay.Start()
}

func clockSteps(r *trial) {
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour, 24 * time.Hour, -48 * time.Hour, 25 * time.Hour} {
		r.check("step", os.WriteFile(r.clock, fmt.Append(nil, int64(d.Seconds())), 0o600))
		r.check("step", r.s.Relay.Signal(syscall.SIGUSR1))
		began := time.Now()
		r.recovered(began)
		if took, ok := r.o.Recovery(began); !ok || took > time.Second {
			r.t.Errorf("after a step of %v messages took %v", d, took)
		}
		r.pause(time.Second)
	}
	r.s.Relay.Kill() // and over a restart, with the keys of another time
	r.s.Relay.Launch()
}

// guarded is a broker that wants passwords, of the relay at least.
func guarded() servers.MosquittoConfig {
	c := kept()
	c.Users = map[string]string{"relay": "right"}
	c.Extra = "allow_anonymous true" // people have none
	return c
}

func accountEnv() map[string]string {
	return map[string]string{"MQTT_USERNAME": "relay", "MQTT_PASSWORD": "right"}
}

// wrongPassword restarts the relay with wrong passwords for both sides, and with the right ones again.
func wrongPassword(r *trial) {
	for _, right := range []bool{false, true} {
		m, x := "wrong", "wrong"
		if right {
			m, x = "right", r.s.XMPP.Password("receiver")
		}
		r.s.Relay.Kill()
		r.s.Relay.Set("MQTT_PASSWORD", m)
		r.s.Relay.Set("XMPP_PASSWORD", x)
		if right {
			r.healed()
			r.s.Relay.Launch()
			return
		}
		r.s.Relay.Launch()
		if err := r.s.Relay.Ready(5 * time.Second); err == nil {
			r.t.Error("ready with wrong passwords")
		} else if !strings.Contains(err.Error(), "not ready") {
			r.t.Errorf("with wrong passwords it did not wait for better ones: %v", err)
		}
	}
}

const poisonLimit = 64 << 10

// poison sends messages that the XMPP server ends the stream for: too big for it, and not too big for what the
// relay can know of it.
func poison(r *trial) {
	for i := range length(5, 2) {
		content := fmt.Sprintf("poison %d", i)
		e := stage.Direct("1001", "1002", content)
		e.Name = strings.Repeat("p", 100<<10)
		it := r.o.Poison(stage.FromMQTT, "1001", "1002", e.String(), content)
		r.poison = append(r.poison, it)
		r.check("publish", r.tr.Put(r.ctx, it))
		r.pause(3 * time.Second)
	}
}
