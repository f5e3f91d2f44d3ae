package app

import "flag"

// Commands are all of them.
func Commands() []Command {
	return []Command{
		{"run", "relay until SIGTERM (the default)", runUsage, nil, noFlags, Run},
		{"check", "test the configuration and both logins, with a fix for each problem", checkUsage, nil,
			func(string) *flag.FlagSet { f, _ := checkFlags(); return f }, Check},
		{"health", "ask the running relay whether it is alive", healthUsage, nil, noFlags, Health},
		{"journal", "inspect the journal: ls, show, requeue, drop, verify, backup", journalHelp, journalWords(), journalFlags, Journal},
		{"trace", "follow a message: where it came from, where it went, what became of it", traceUsage, nil,
			func(string) *flag.FlagSet { f, _ := traceFlags(); return f }, Trace},
		{"completion", "write what makes a shell complete its commands", completionUsage, shells(), noFlags,
			func(p Process) error { return Completion(p, Commands()) }},
		{"man", "write its manual page", manUsage, nil, noFlags,
			func(p Process) error { return Manual(p, Commands()) }},
		{"version", "say what this is", "usage: chatrelay version\n", nil, noFlags, Version},
	}
}

func noFlags(string) *flag.FlagSet { return nil }
