package xmppside

import (
	"errors"

	"chatrelay/internal/fix"
	"chatrelay/xmppside/sm"
)

// lost counts a connection that has ended while it was in use.
func (c *Config) lost(end sm.End) {
	if c.Lost != nil {
		c.Lost(lossOf(end))
	}
}

// lossOf is a fixed word for why.
func lossOf(end sm.End) string {
	switch end.Condition {
	case "":
	case "conflict":
		return "conflict"
	case "policy-violation":
		return "policy"
	case "system-shutdown":
		return "shutdown"
	default:
		return "ended" // with a condition of the server's: the log has it
	}
	switch {
	case errors.Is(end.Err, sm.ErrSilent):
		return "silent"
	case errors.Is(end.Err, sm.ErrJournal):
		return "journal"
	case errors.Is(end.Err, sm.ErrRedo), errors.Is(end.Err, sm.ErrBroken):
		return "renewed" // by the relay itself
	case errors.Is(end.Err, sm.ErrTooLarge):
		return "too_large"
	case errors.Is(end.Err, sm.ErrProtocol):
		return "protocol"
	}
	return fix.Loss(end.Err)
}
