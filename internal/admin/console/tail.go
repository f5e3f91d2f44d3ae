package console

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
)

const (
	tailLines   = 500
	tailBytes   = 256 << 10
	longestLine = 4 << 10
)

// Tail keeps the end of the log. It is an io.Writer that never fails, one JSON object a line.
type Tail struct {
	mu    sync.Mutex // guards all below
	lines []json.RawMessage
	bytes int
	last  uint64 // number of the newest line, from 1
}

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	line := json.RawMessage(bytes.Clone(bytes.TrimSpace(p)))
	if len(line) > longestLine || !json.Valid(line) {
		text := strings.ToValidUTF8(string(line[:min(len(line), longestLine/2)]), "\uFFFD")
		line, _ = json.Marshal(map[string]string{"message": text + "…"}) // a string always marshals
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines, t.last = append(t.lines, line), t.last+1
	t.bytes += len(line)
	drop := 0
	for len(t.lines)-drop > tailLines || t.bytes > tailBytes {
		t.bytes -= len(t.lines[drop])
		drop++
	}
	t.lines = t.lines[drop:] // append moves them now and then
	return len(p), nil
}

// tailed is a part of the log as the page gets it.
type tailed struct {
	Last    uint64            `json:"last"`              // number of the last of the lines
	Skipped uint64            `json:"skipped,omitempty"` // lines before these that were gone already
	Lines   []json.RawMessage `json:"lines"`
}

// since gives the lines behind a number.
func (t *Tail) since(n uint64) (out tailed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := uint64(len(t.lines))
	first := t.last - have + 1
	if out.Last = t.last; n >= t.last {
		return out
	}
	if n+1 < first {
		out.Skipped, n = first-1-n, first-1
	}
	out.Lines = append(out.Lines, t.lines[n+1-first:]...)
	return out
}
