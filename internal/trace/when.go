package trace

import (
	"errors"
	"time"
)

// errWhen says how a moment is written.
var errWhen = errors.New("a moment is an age such as 2h, or a time such as 2026-11-30, 2026-11-30T14:05 (both UTC) or 2026-11-30T14:05:00+01:00")

// layouts of a time. What names no zone is UTC, as what is shown of a trace.
func layouts() []string {
	return []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}
}

// When reads a moment: an age, or a time. An empty text is no moment, the zero time.
func When(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age > 0 {
		return now.Add(-age), nil
	}
	for _, layout := range layouts() {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errWhen
}

// Between sets from when to when a message is looked for; each may be empty.
func (q *Query) Between(since, until string, now time.Time) (err error) {
	if q.Since, err = When(since, now); err == nil {
		q.Until, err = When(until, now)
	}
	if err == nil && !q.Since.IsZero() && !q.Until.IsZero() && q.Until.Before(q.Since) {
		err = errors.New("until is before since")
	}
	return err
}
