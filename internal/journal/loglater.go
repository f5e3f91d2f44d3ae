package journal

import "github.com/rs/zerolog"

// logLine is a line for the log that was made under the lock.
type logLine struct {
	event *zerolog.Event
	text  string
}

// logLater has a line written once the lock is free: a log that is slow, or stands still, must not hold up dispatchers,
// sides and the status page. The writer's own.
func (j *Journal) logLater(event *zerolog.Event, text string) {
	j.logLines = append(j.logLines, logLine{event, text})
}

// flushLog writes what is to be said. Not under the lock; by the writer, when all that waited has its answer.
func (j *Journal) flushLog() {
	for _, s := range j.logLines {
		s.event.Msg(s.text)
	}
	clear(j.logLines)
	j.logLines = j.logLines[:0]
}
