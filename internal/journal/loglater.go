package journal

import (
	"github.com/rs/zerolog"

	"chatrelay/bridge"
)

// lateLog keeps lines for the log, and what is to be heard of choices, that are made under the lock until it is free: a log that is
// slow, or stands still, must not hold up dispatchers, sides and the status page. The writer's own.
type lateLog []func()

func (l *lateLog) later(event *zerolog.Event, text string) {
	*l = append(*l, func() { event.Msg(text) })
}

// flush writes what is to be said. Not under the lock; by the writer, when all that waited has its answer.
func (l *lateLog) flush() {
	for _, say := range *l {
		say()
	}
	clear(*l)
	*l = (*l)[:0]
}

// Choice is something that happens to deliveries of which the journal alone knows which they are.
type Choice uint8

// Choices.
const (
	ChosePutAway    Choice = iota // the oldest dead letters, as there are too many
	ChoseProven                   // were settled as unproven: the side has taken them
	ChoseUnproved                 // likewise, and bounced: nothing proves it
	ChoseUnreadable               // dead letters, as the file is damaged there
)

// chose has it heard, if anybody listens.
func (l *lateLog) chose(o *Options, what Choice, why *bridge.Refusal, refs ...bridge.Ref) {
	if o.Chosen != nil && len(refs) > 0 {
		*l = append(*l, func() { o.Chosen(what, why, refs) })
	}
}
