package journal

import "github.com/rs/zerolog"

// saying is a line for the log that was made under the lock.
type saying struct {
	event *zerolog.Event
	text  string
}

// say has a line written once the lock is free: a log that is slow, or stands still, must not hold up dispatchers,
// sides and the status page. The writer's own.
func (j *Journal) say(event *zerolog.Event, text string) {
	j.sayings = append(j.sayings, saying{event, text})
}

// speak writes what is to be said. Not under the lock; by the writer, when all that waited has its answer.
func (j *Journal) speak() {
	for _, s := range j.sayings {
		s.event.Msg(s.text)
	}
	clear(j.sayings)
	j.sayings = j.sayings[:0]
}
