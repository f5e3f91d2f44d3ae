package mqttside

import (
	"errors"

	"chatrelay/internal/fix"
	"chatrelay/mqttside/session"
)

// lost counts a connection that has ended while it was in use.
func (c *Config) lost(why error) {
	if c.Lost != nil {
		c.Lost(lossOf(why))
	}
}

// lossOf is a fixed word for why.
func lossOf(why error) string {
	switch {
	case errors.Is(why, errRenewed):
		return "renewed" // by the relay itself
	case errors.Is(why, session.ErrSilent):
		return "silent"
	case errors.Is(why, session.ErrJournal):
		return "journal"
	}
	if _, ok := errors.AsType[session.Ended](why); ok {
		return "ended" // with a reason of the broker's: the log has it
	}
	if _, ok := errors.AsType[session.Breach](why); ok {
		return "protocol"
	}
	return fix.Loss(why)
}
