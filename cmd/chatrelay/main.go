// Command chatrelay relays chat between an MQTT broker and an XMPP server. It is configured by environment
// variables alone; docs/CONFIGURATION.md has their table. Each command says its exit codes when asked with -h.
package main

import (
	"fmt"
	"io"
	"os"

	"chatrelay/internal/app"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	name := "run"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) == 0 {
			usage(os.Stdout)
			return app.ExitOK
		}
		name, args = args[0], []string{"-h"}
	}
	for _, c := range app.Commands() {
		if c.Name != name {
			continue
		}
		err := c.Run(app.Process{Args: args, Environ: os.Environ(), Out: os.Stdout, Err: os.Stderr, Version: app.Build()})
		if err != nil {
			fmt.Fprintln(os.Stderr, "chatrelay:", err)
		}
		return app.ExitCode(err)
	}
	fmt.Fprintf(os.Stderr, "chatrelay: unknown command %q\n\n", name)
	usage(os.Stderr)
	return app.ExitConfiguration
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: chatrelay [command]\n\n")
	for _, c := range app.Commands() {
		fmt.Fprintf(w, "  %-10s  %s\n", c.Name, c.Summary)
	}
	fmt.Fprint(w, "\nConfigured by CHATRELAY_… environment variables; see README.md and example.env. chatrelay COMMAND -h tells more.\n")
}
