package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong. It never holds a secret's value.
type Problem struct {
	Variable string // full name
	Wrong    string // what is wrong, a clause after the name
	Remedy   string // what would be right
	unread   bool   // the value could not be read at all
}

func (p Problem) String() string { return p.Variable + " " + p.Wrong + ": " + p.Remedy }

// Problems are all of them; Load's error.
type Problems []Problem

// Error is one line per problem.
func (p Problems) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problem", len(p))
	if len(p) != 1 {
		b.WriteByte('s')
	}
	for _, one := range p {
		b.WriteString("\n  " + one.String())
	}
	return b.String()
}

// say adds a problem if bad; name is without prefix.
func (p *Problems) say(bad bool, name, wrong, remedy string) {
	if bad {
		*p = append(*p, Problem{Variable: Prefix + name, Wrong: wrong, Remedy: remedy})
	}
}

func (p *Problems) oneOf(name, value string, words ...string) {
	p.say(!slices.Contains(words, value), name, "is "+quoted(value), "write "+strings.Join(words[:len(words)-1], ", ")+" or "+words[len(words)-1])
}

// secret sees to it that there is one source, and that it can be read.
func (p *Problems) secret(name string, value Secret, file string) {
	p.say(value != "" && file != "", name, "and "+Prefix+name+"_FILE are both set", "set one of them")
	if file == "" {
		return
	}
	_, err := readSecret(file)
	p.say(err != nil, name+"_FILE", fmt.Sprintf("cannot be read (%v)", err), "name a file that holds the secret and that the relay may read")
}

const longestShown = 80

// quoted shows a value that is no secret, cut to a length that fits a line.
func quoted(value string) string {
	if len(value) > longestShown {
		value = value[:longestShown] + "…"
	}
	return fmt.Sprintf("%q", value)
}

// About is what is wrong with the settings whose names (without prefix) begin so; nil: nothing. For those who need
// only a part of the configuration.
func About(err error, beginnings ...string) error {
	var all, some Problems
	if !errors.As(err, &all) {
		return err
	}
	for _, p := range all {
		for _, b := range beginnings {
			if strings.HasPrefix(p.Variable, Prefix+b) {
				some = append(some, p)
				break
			}
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some
}
