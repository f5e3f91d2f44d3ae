package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// stage is what the last stage of a Dockerfile says: the image is made of the same file, so that it cannot differ.
type stage struct {
	copies []copyStep
	config v1.Config
}

// copyStep brings a file or folder of another stage into the image.
type copyStep struct {
	from, to string
	uid, gid int
	line     string
}

// lastStage reads the last stage. What it does not know it refuses: an image that lacks something must not look whole.
func lastStage(file string) (*stage, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s *stage
	for _, line := range instructions(string(b)) {
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if word == "FROM" {
			s = nil
			if rest == "scratch" {
				s = &stage{}
			}
			continue
		}
		if s == nil {
			continue
		}
		if err := s.take(word, rest); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file, line, err)
		}
	}
	if s == nil {
		return nil, fmt.Errorf("%s: the last stage is not made from scratch", file)
	}
	return s, nil
}

// instructions are the lines, joined where they go on, without comments.
func instructions(text string) (out []string) {
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

func (s *stage) take(word, rest string) error {
	c := &s.config
	switch word {
	case "COPY":
		return s.copy(rest)
	case "USER":
		c.User = rest
	case "ENV":
		c.Env = append(c.Env, strings.Fields(rest)...)
	case "VOLUME":
		c.Volumes = set(strings.Fields(rest))
	case "EXPOSE":
		c.ExposedPorts = set(strings.Fields(strings.ReplaceAll(rest, " ", "/tcp ") + "/tcp"))
	case "STOPSIGNAL":
		c.StopSignal = rest
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &c.Entrypoint)
	case "HEALTHCHECK":
		return s.healthCheck(rest)
	default:
		return fmt.Errorf("the image archive does not know %s", word)
	}
	return nil
}

func set(words []string) map[string]struct{} {
	out := map[string]struct{}{}
	for _, w := range words {
		out[w] = struct{}{}
	}
	return out
}

func (s *stage) copy(rest string) error {
	step := copyStep{line: "COPY " + rest}
	words := strings.Fields(rest)
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		name, value, _ := strings.Cut(words[0], "=")
		switch name {
		case "--from":
		case "--chown":
			if _, err := fmt.Sscanf(value, "%d:%d", &step.uid, &step.gid); err != nil {
				return fmt.Errorf("an owner is two numbers: %w", err)
			}
		default:
			return fmt.Errorf("the image archive does not know %s", name)
		}
		words = words[1:]
	}
	if len(words) != 2 {
		return fmt.Errorf("one source and one destination, not %q", words)
	}
	step.from, step.to = words[0], words[1]
	s.copies = append(s.copies, step)
	return nil
}

func (s *stage) healthCheck(rest string) error {
	h := &v1.HealthConfig{}
	flags, command, ok := strings.Cut(rest, "CMD ")
	if !ok {
		return fmt.Errorf("there is no CMD")
	}
	for _, f := range strings.Fields(flags) {
		name, value, _ := strings.Cut(f, "=")
		var err error
		switch name {
		case "--interval":
			h.Interval, err = time.ParseDuration(value)
		case "--timeout":
			h.Timeout, err = time.ParseDuration(value)
		case "--start-period":
			h.StartPeriod, err = time.ParseDuration(value)
		case "--retries":
			h.Retries, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("the image archive does not know it")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	var args []string
	if err := json.Unmarshal([]byte(command), &args); err != nil {
		return err
	}
	h.Test = append([]string{"CMD"}, args...)
	s.config.Healthcheck = h
	return nil
}
