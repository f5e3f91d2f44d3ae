package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Command is one of the binary's. What it takes is written here once: help, the manual page and shell completion
// are made of it.
type Command struct {
	Name    string
	Summary string                          // one line
	usage   string                          // behind the summary: arguments and exit codes
	words   []string                        // one of them stands first
	flags   func(word string) *flag.FlagSet // that may follow; nil: none
	run     func(Process) error
}

// Run does what the command is for, or tells how it is used.
func (c *Command) Run(p Process) error {
	if len(p.Args) > 0 && helpWanted(p.Args[0]) {
		return c.Help(p.Out)
	}
	return c.run(p)
}

// Help tells how the command is used.
func (c *Command) Help(w io.Writer) error {
	_, err := fmt.Fprintf(w, "chatrelay %s: %s\n\n%s", c.Name, c.Summary, c.usage)
	return err
}

// helpWanted tells whether an argument asks for help.
func helpWanted(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "-help" || arg == "--help"
}

// parse reads the flags of a command. When help is wanted it has been given, and parse says so.
func (p *Process) parse(f *flag.FlagSet, args []string, usage string) (helped bool, err error) {
	var output strings.Builder
	f.SetOutput(&output)
	err = f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(p.Out, output.String())
		return true, err
	case err != nil:
		return false, fmt.Errorf("%w: %w; %s", errUsage, err, usage)
	}
	return false, nil
}

const (
	completionUsage = `usage: chatrelay completion bash | zsh | fish

It writes a script for the shell to standard output. For the shell that runs:

  bash  source <(chatrelay completion bash)
  zsh   source <(chatrelay completion zsh)
  fish  chatrelay completion fish | source

The Debian package brings all three.
`
	manUsage = `usage: chatrelay man

It writes the manual page, with every setting, to standard output; to read it: chatrelay man | man -l -
`
	runUsage = `usage: chatrelay run

It is configured by CHATRELAY_… environment variables alone: docs/CONFIGURATION.md and example.env have them all.
SIGTERM and SIGINT: finish what is in flight within CHATRELAY_DRAIN_TIMEOUT, then end. A second one: end at once.

exit code  0 stopped by a signal, everything finished
           1 it failed while it ran
           2 the environment or the command line is wrong
`
	checkUsage = `usage: chatrelay check [-json]

It connects to both sides with the relay's environment, beside a relay that may be running, and says of each step ok,
warn or FAIL with the fix. -json writes one document instead: {"severity": …, "steps": [{"name", "severity", "note"}]},
where each severity is ok, warning or error, and the first is the worst.

exit code  0 all is well
           1 the relay could not run like this
           2 there are warnings (or the command line is wrong)
`
	healthUsage = `usage: chatrelay health

It asks /livez at CHATRELAY_HTTP_ADDR.

exit code  0 alive
           1 not alive, or nobody answers
           2 the environment or the command line is wrong
`
	journalHelp = `usage: chatrelay journal ls [-dead] [-pending] [PICK] [-after SEQ] [-limit N]
       chatrelay journal show MESSAGE
       chatrelay journal requeue DEAD-LETTER… | PICK | -all
       chatrelay journal drop    DEAD-LETTER… | PICK | -all
       chatrelay journal verify
       chatrelay journal backup  DIR

PICK is any of -reason WORD, -sender LANDLINE, -to LANDLINE-OR-ROOM, -older AGE (such as 36h).
It reads the journal in CHATRELAY_STORE, beside a running relay or without one. A running relay is asked to change it
(CHATRELAY_HTTP_ADDR, CHATRELAY_HTTP_TOKEN).
verify reads all of it, replays the log and compares with the tables: it says what does not fit together.
backup copies it into DIR, which must not exist or be empty. What a copy is good for: docs/OPERATIONS.md, Restore.

exit code  0 done; of verify: all fits together
           1 it failed; of verify: something does not fit
           2 the environment or the command line is wrong
`
	traceUsage = `usage: chatrelay trace [-json] [-since WHEN] [-until WHEN] [-limit N] ID | MESSAGE | LANDLINE-OR-ROOM

It tells what happened to a message, with times: from whom it was received and what was decided, and of each delivery when it went on the wire,
was confirmed, put off, given up or answered by a notice. ID is the sender's, MESSAGE the number in logs and in chatrelay journal;
of a landline or a room it shows the newest messages, at most N. WHEN is an age such as 2h, or a time such as 2026-11-30T14:05 (UTC). Messages that were delivered are known for CHATRELAY_DEDUP_WINDOW,
within CHATRELAY_TRACE_MAX_BYTES. It reads the folder CHATRELAY_STORE, beside a running relay or without one, and shows no content.

exit code  0 done
           1 it failed, or (without -json) nothing is known of it
           2 the environment or the command line is wrong
`
)
