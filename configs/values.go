package configs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

type unit struct {
	name  string
	bytes int64
}

// units, the longest names first, so that KiB is not taken for B.
func units() []unit {
	return []unit{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
	}
}

var errSize = errors.New("is no size")

// UnmarshalText reads 512, 192KiB, 1GiB, 10MB.
func (s *Size) UnmarshalText(text []byte) error {
	digits, factor := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return errSize
	}
	*s = Size(n * factor)
	return nil
}

// String writes it with the largest binary unit that keeps it whole.
func (s Size) String() string {
	out := strconv.FormatInt(int64(s), 10) + "B"
	for _, u := range units()[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			out = strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return out
}

// Window is how many publishes may be in flight; 0: the relay finds out.
type Window int

// UnmarshalText reads a number, or auto.
func (w *Window) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*w = 0
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > mostWindow {
		return fmt.Errorf("is %q", text)
	}
	*w = Window(n)
	return nil
}

// Notices says of what devices are told: of each turn that a message takes, and of what people do in component mode.
type Notices struct{ Sent, Delayed, Failed, Received, Read, Typing bool }

// each is what a word switches.
func (n *Notices) each() []notice {
	return []notice{{&n.Sent, "sent"}, {&n.Delayed, "delayed"}, {&n.Failed, "failed"}, {&n.Received, "received"}, {&n.Read, "read"}, {&n.Typing, "typing"}}
}

type notice struct {
	on   *bool
	word string
}

// UnmarshalText reads a list, or off.
func (n *Notices) UnmarshalText(text []byte) error {
	*n = Notices{}
	words := fields(string(text))
	if slices.Equal(words, []string{"off"}) {
		return nil
	}
	all := n.each()
	for _, w := range words {
		i := slices.IndexFunc(all, func(one notice) bool { return one.word == w })
		if i < 0 {
			return fmt.Errorf("holds %q", w)
		}
		*all[i].on = true
	}
	return nil
}

// String is the list, or off.
func (n Notices) String() string {
	if words := n.Words(); len(words) > 0 {
		return strings.Join(words, ",")
	}
	return "off"
}

// Words are the statuses that are told.
func (n Notices) Words() []string {
	var out []string
	for _, one := range n.each() {
		if *one.on {
			out = append(out, one.word)
		}
	}
	return out
}

// JIDList is a comma-separated list of bare addresses.
type JIDList []string

// UnmarshalText splits; what is in it is checked later, so that each address can be named.
func (l *JIDList) UnmarshalText(text []byte) error {
	*l = fields(string(text))
	return nil
}

// HostList is a comma-separated list of host names; case does not count in them.
type HostList []string

// UnmarshalText splits; what is in it is checked later, so that each name can be named.
func (l *HostList) UnmarshalText(text []byte) error {
	*l = fields(strings.ToLower(string(text)))
	return nil
}

// fields splits at commas; blanks around and empty fields don't count.
func fields(text string) []string {
	var out []string
	for f := range strings.SplitSeq(text, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}
