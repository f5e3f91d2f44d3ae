// Command relay is the relay with fail points, for the fault suite. It is internal/app as it is; decorators stand
// between the rooms and end the process with SIGKILL when a named step has been passed so many times:
//
//	CHAOS_POINT=xmpp.bind:137
//
// There is no switch in the product: the decorators are handed over as app.Seams, which any main could do.
package main

import (
	"fmt"
	"os"

	"chatrelay/internal/app"
)

func main() { os.Exit(run()) }

func run() int {
	watchClock()
	p, err := parsePoint(os.Getenv("CHAOS_POINT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "chatrelay:", err)
		return app.ExitConfiguration
	}
	if p.listener, err = openConnector(os.Getenv("CHAOS_DOOR")); err != nil {
		fmt.Fprintln(os.Stderr, "chatrelay:", err)
		return app.ExitConfiguration
	}
	err = app.RunWith(app.Process{Environ: os.Environ(), Out: os.Stdout, Err: os.Stderr, Version: "chaos"}, p.hooks())
	if err != nil {
		fmt.Fprintln(os.Stderr, "chatrelay:", err)
	}
	return app.ExitCode(err)
}
