// Command chatrelay relays chat between an MQTT broker and an XMPP server. It is configured by environment
// variables alone; README has their table.
//
// Exit codes: 0 all is well (for run: stopped by SIGTERM, everything finished); 1 it failed at run time, or a check
// did; 2 the environment or the command line is wrong.
package main

import (
	"fmt"
	"os"

	"chatrelay/internal/app"
)

const usage = `usage: chatrelay [command]

  run       relay until SIGTERM (the default)
  check     try the configuration: connect to both sides and say of each step ok or how to mend it
  health    ask the running relay whether it is alive
  journal   look into the book: ls, show, requeue, drop
  version   say what this is

Configured by CHATRELAY_… environment variables; see README.md and example.env.
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	name := "run"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	command := map[string]func(app.Process) error{
		"run": app.Run, "check": app.Check, "health": app.Health, "journal": app.Journal, "version": app.Version,
	}[name]
	switch {
	case name == "help" || name == "-h" || name == "-help" || name == "--help":
		fmt.Fprint(os.Stdout, usage)
		return app.ExitOK
	case command == nil:
		fmt.Fprintf(os.Stderr, "chatrelay: unknown command %q\n\n%s", name, usage)
		return app.ExitConfiguration
	}
	err := command(app.Process{Args: args, Environ: os.Environ(), Out: os.Stdout, Err: os.Stderr, Version: app.Build()})
	if err != nil {
		fmt.Fprintln(os.Stderr, "chatrelay:", err)
	}
	return app.ExitCode(err)
}
