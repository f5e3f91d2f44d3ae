// Package app builds the relay from its rooms and owns its life: what starts, in which order it stops, and what
// the process says when it ends. It is the only package that knows all rooms; cmd/chatrelay calls it.
package app

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/configs"
)

// Exit codes.
const (
	ExitOK            = 0
	ExitFailure       = 1 // at run time: a hopeless error, a check that failed, a relay that is not alive
	ExitWarnings      = 2 // of check alone, whose exit code says how bad things are
	ExitConfiguration = 2 // something is wrong with the environment or the command line
)

// Process is what the world hands to a command.
type Process struct {
	Args    []string // after the command's name
	Environ []string
	Out     io.Writer // answers
	Err     io.Writer // logs and complaints
	Version string
}

// errUsage: the command line is wrong.
var errUsage = errors.New("usage")

// ExitCode is the code for how a command ended.
func ExitCode(err error) int {
	var problems configs.Problems
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errWarnings):
		return ExitWarnings
	case errors.As(err, &problems), errors.Is(err, errUsage):
		return ExitConfiguration
	}
	return ExitFailure
}

// noArguments is for commands that take none.
func (p *Process) noArguments(command string) error {
	if len(p.Args) > 0 {
		return fmt.Errorf("%w: %s takes no argument, and got %q", errUsage, command, p.Args[0])
	}
	return nil
}

// logger writes to standard error as LOG_LEVEL and LOG_FORMAT say, and beside that, as JSON, to others.
func logger(c *configs.Log, w io.Writer, terminal bool, besides ...io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log: %w", err)
	}
	if c.Format == "console" || c.Format == "auto" && terminal {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !terminal}
	}
	if len(besides) > 0 {
		w = zerolog.MultiLevelWriter(append([]io.Writer{w}, besides...)...)
	}
	return zerolog.New(w).Level(level).Hook(zerolog.HookFunc(addTime)), nil
}

// addTime adds the time to the millisecond, which the library does only for all loggers of a process.
func addTime(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}
