package chaos

import (
	"time"

	"chatrelay/test/servers"
)

// What the rows' servers are set to so that they keep what they acknowledge.
const (
	keptByAll    = "mosquitto persistence; XEP-0198 queue 100000"
	keptAtKill   = "mosquitto persistence, autosave_on_changes, autosave_interval 1; XEP-0198 queue 100000"
	notKept      = "XEP-0198 queues are memory, and no archive"
	keptInSQL    = "archive (XEP-0313) of all accounts in SQLite, in memory where the machine has room; XEP-0198 queue 100000"
	keptArchived = "archive (XEP-0313) of all accounts (ejabberd: in SQLite, in memory where the machine has room); XEP-0198 queue 100000"
)

func kept() servers.MosquittoConfig {
	return servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 1000000, Persistence: true}
}

// savedAtOnce saves after every change: the whole of it, so the load is smaller.
func savedAtOnce() servers.MosquittoConfig {
	c := kept()
	c.AutosaveOnChanges = true
	return c
}

func withTLS() servers.MosquittoConfig {
	c := kept()
	c.TLS = true
	return c
}

// wideWindow is for a broker whose limit is 1,000: what has gathered in a long outage goes through at once.
func wideWindow() map[string]string { return map[string]string{"MQTT_WINDOW": "100"} }

// faults are the rows, in the order of the table.
func faults() []fault {
	var all []fault
	for _, group := range [][]fault{relayFaults(), wireFaults(), serverFaults(), houseFaults()} {
		all = append(all, group...)
	}
	return all
}

// length is short in make test and long in make chaos.
func length[T any](long, short T) T {
	if full {
		return long
	}
	return short
}

// relayFaults end the relay.
func relayFaults() []fault {
	return []fault{
		{name: "nothing", act: func(r *trial) { r.pause(length(10*time.Second, 2*time.Second)) }},
		{name: "relay SIGKILL at each step", short: "prosody", restarts: true, act: failPoints, within: soon, settings: keptByAll, broker: kept()},
		{name: "relay SIGKILL at random times", short: "prosody, ejabberd", restarts: true, act: randomKills, within: soon, settings: keptByAll, broker: kept()},
		{name: "relay SIGTERM", restarts: true, act: terminate, within: soon, settings: keptByAll, broker: kept()},
		{name: "relay frozen 20 s", env: wideWindow(), act: freeze, within: afterHeal, settings: keptByAll, broker: kept()},
	}
}

// wireFaults break connections of the relay.
func wireFaults() []fault {
	rows := []fault{
		{name: "TCP cuts, TLS, 1,000/s", short: "prosody, ejabberd", rate: 1000, env: wideWindow(), broker: withTLS(), wire: tlsProxies, act: cuts, within: afterHeal, settings: keptByAll},
		{name: "TCP cuts into resumptions, TLS, 1,000/s", rate: 1000, broker: withTLS(), wire: tlsProxies, act: rudeCuts, losesOn: "ejabberd",
			settings: keptByAll + " (ejabberd 23.01 itself loses and reorders when a resumption is cut)"},
		{name: "cuts at each MQTT packet", short: "ejabberd", broker: kept(), wire: frameProxy, act: frameCuts, within: afterHeal, settings: keptByAll},
	}
	for _, w := range []struct {
		name       string
		mqtt, xmpp bool
	}{{"MQTT", true, false}, {"XMPP", false, true}, {"both", true, true}} {
		rows = append(rows,
			fault{name: "blackhole, " + w.name, env: wideWindow(), broker: kept(), wire: proxies, act: blackhole(w.mqtt, w.xmpp), within: afterHeal, settings: keptByAll},
			fault{name: "half-open, " + w.name, env: wideWindow(), broker: kept(), wire: proxies, act: halfOpen(w.mqtt, w.xmpp), settings: keptByAll},
			fault{name: "slow reader (relay), " + w.name, env: wideWindow(), broker: kept(), wire: proxies, act: stalled(true, w.mqtt, w.xmpp), within: afterHeal, settings: keptByAll},
			fault{name: "slow reader (server), " + w.name, env: wideWindow(), broker: kept(), wire: proxies, act: stalled(false, w.mqtt, w.xmpp), within: afterHeal, settings: keptByAll})
	}
	return rows
}

// serverFaults end the servers.
func serverFaults() []fault {
	settled, archive := servers.XMPPConfig{Settled: true}, servers.XMPPConfig{MAM: true}
	busy := servers.XMPPConfig{MAM: true, ArchiveSQL: true} // in files it is good for 70 messages a second, once an account has 10,000 (Prosody)
	return []fault{
		{name: "broker SIGTERM", short: "prosody", broker: kept(), act: broker(false), within: afterHeal, settings: keptByAll},
		{name: "broker SIGKILL", rate: 100, broker: savedAtOnce(), saves: true, wire: tapped, act: broker(true), within: afterHeal, settings: keptAtKill},
		{name: "XMPP server SIGTERM", broker: kept(), xmpp: settled, act: xmpp(false), within: afterHeal, loses: true, maybe: true, settings: notKept},
		{name: "XMPP server SIGKILL", broker: kept(), xmpp: settled, act: xmpp(true), within: afterHeal, loses: true, maybe: true, settings: notKept},
		{name: "XMPP server SIGTERM, archive", rate: 100, broker: kept(), xmpp: archive, act: xmpp(false), within: withMAM, settings: keptArchived},
		{name: "XMPP server SIGKILL, archive", short: "prosody", rate: 100, broker: kept(), xmpp: archive, act: xmpp(true), within: withMAM, settings: keptArchived},
		{name: "XMPP server and relay SIGKILL, archive", restarts: true, rate: 100, broker: kept(), xmpp: busy, act: xmppAndRelay, within: withMAM, settings: keptInSQL},
		{name: "TCP cuts, archive", rate: 100, broker: kept(), xmpp: archive, wire: proxies, act: fewCuts, within: afterHeal, settings: keptArchived},
		{name: "both SIGTERM, archive", rate: 100, broker: savedAtOnce(), xmpp: archive, act: both(false), within: withMAM, settings: keptArchived + "; " + keptAtKill},
		{name: "both SIGKILL, archive", rate: 100, broker: savedAtOnce(), xmpp: archive, saves: true, wire: tapped, act: both(true), within: withMAM, settings: keptArchived + "; " + keptAtKill},
		{name: "soak", restarts: true, rate: 100, broker: kept(), xmpp: busy, act: soak, within: withMAM, settings: keptInSQL},
	}
}

// houseFaults are of the disk, the clock and people.
func houseFaults() []fault {
	return []fault{
		{name: "disk full", short: "ejabberd", restarts: true, broker: kept(), begin: tinyDisk, act: fullDisk, bounces: true, within: afterHeal, settings: keptByAll},
		{name: "power cut", short: "prosody", restarts: true, rate: length(100, 50), broker: kept(), begin: frailDisk, act: powerCuts, within: afterHeal, settings: keptByAll},
		{name: "journal damaged", short: "prosody", restarts: true, broker: kept(), act: damage, within: soon, settings: keptByAll},
		{name: "clock steps of an hour and a day", restarts: true, broker: kept(), begin: ownClock, act: clockSteps, settings: keptByAll},
		{name: "second instance", short: "prosody", broker: kept(), act: second, settings: keptByAll},
		{name: "wrong password, then right", restarts: true, broker: guarded(), env: accountEnv(), act: wrongPassword, within: afterHeal, settings: keptByAll},
		{name: "poison", short: "prosody", broker: kept(), xmpp: servers.XMPPConfig{StanzaLimit: poisonLimit}, act: poison, maybe: true, settings: keptByAll},
	}
}
