package configs

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Load reads NAME=value pairs as os.Environ gives them. Its error is of type Problems and holds all that is wrong;
// the configuration must then not be used. It reads the files that are named, and the secrets only to see that
// they can be read.
func Load(environ []string) (Config, error) {
	environment := ours(environ)
	c := Config{}
	problems := unknown(environment)
	problems = append(problems, c.parse(environment)...)
	problems = append(problems, c.check()...)
	files, more := c.read()
	c.Files = files
	problems = append(problems, more...)
	if len(problems) > 0 {
		return c, once(problems)
	}
	return c, nil
}

// ours are the settings in the environment. Blanks around a value are nobody's intention, save in a secret.
func ours(environ []string) map[string]string {
	out := map[string]string{}
	secret := map[string]bool{}
	for _, f := range new(Config).fields() {
		secret[f.name] = f.value.Type() == reflect.TypeFor[Secret]()
	}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, Prefix) {
			continue
		}
		if !secret[name] {
			value = strings.TrimSpace(value)
		}
		out[name] = value
	}
	return out
}

// parse fills the rooms, one at a time: within one the field's name tells which setting an error is about.
func (c *Config) parse(environment map[string]string) (out Problems) {
	for _, room := range c.rooms() {
		err := env.ParseWithOptions(room, env.Options{Prefix: Prefix, Environment: environment})
		if err == nil {
			continue
		}
		var all env.AggregateError
		if !errors.As(err, &all) {
			all.Errors = []error{err}
		}
		for _, one := range all.Errors {
			out = append(out, unparsed(room, one, environment))
		}
	}
	return out
}

func unparsed(room any, err error, environment map[string]string) Problem {
	var bad env.ParseError
	if errors.As(err, &bad) {
		for _, f := range fieldsOf(room) {
			if f.goName == bad.Name {
				wrong, remedy := form(f.value.Type(), bad.Err)
				return Problem{Variable: f.name, Wrong: fmt.Sprintf("is %s, which %s", quoted(environment[f.name]), wrong), Remedy: remedy, unread: true}
			}
		}
	}
	return Problem{Variable: Prefix + "…", Wrong: "cannot be read", Remedy: err.Error()}
}

// form says what a value of the type looks like.
func form(t reflect.Type, err error) (wrong, remedy string) {
	switch t {
	case reflect.TypeFor[Size]():
		return "is no size", "write a number of bytes such as 192KiB, 64MiB or 1GiB"
	case reflect.TypeFor[Window]():
		return err.Error(), fmt.Sprintf("write auto, or a number from 1 to %d; half of the broker's in-flight limit is right", mostWindow)
	case reflect.TypeFor[time.Duration]():
		return "is no duration", "write a number with its unit, such as 10s, 5m or 24h"
	case reflect.TypeFor[Pairs]():
		return err.Error(), "write landlines, bare JIDs or domains, such as 1001, 10*, ann@example.org, @example.org, or pairs such as 10*>@example.org, separated by commas"
	case reflect.TypeFor[Notices]():
		return err.Error(), "write any of sent, delayed, failed, received, read and typing, separated by commas, or off"
	}
	if t.Kind() == reflect.Bool {
		return "is neither true nor false", "write true or false"
	}
	return "is no whole number", "write a whole number"
}

// once leaves out what is said of a variable twice: a value that cannot be read fails its checks too.
func once(in Problems) (out Problems) {
	unread := map[string]bool{}
	for _, p := range in {
		if unread[p.Variable] {
			continue
		}
		unread[p.Variable] = p.unread
		out = append(out, p)
	}
	return out
}
