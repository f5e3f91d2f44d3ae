package journal

import "github.com/rs/zerolog"

// lateLog keeps lines for the log that are made under the lock until it is free: a log that is slow, or stands still, must not hold up
// dispatchers, sides and the status page. The writer's own.
type lateLog []logLine

type logLine struct {
	event *zerolog.Event
	text  string
}

func (l *lateLog) later(event *zerolog.Event, text string) { *l = append(*l, logLine{event, text}) }

// flush writes what is to be said. Not under the lock; by the writer, when all that waited has its answer.
func (l *lateLog) flush() {
	for _, s := range *l {
		s.event.Msg(s.text)
	}
	clear(*l)
	*l = (*l)[:0]
}
