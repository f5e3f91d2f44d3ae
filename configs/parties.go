package configs

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// party is one or many who talk: a bare JID, all of a domain (@example.org), landlines (1001, 10*), or anybody (*).
type party string

func (p party) check() error {
	text := string(p)
	domain, isDomainOf := strings.CutPrefix(text, "@")
	switch {
	case text == "":
		return errors.New("names nobody")
	case isDomainOf && !isDomain(domain):
		return fmt.Errorf("has %q, which is no domain in lower case", text)
	case isDomainOf:
	case strings.Contains(text, "@"):
		if wrong, _ := bareJID(text); wrong != "" {
			return fmt.Errorf("has %q, which %s", text, wrong)
		}
	default:
		if _, err := path.Match(text, ""); err != nil {
			return fmt.Errorf("has %q, which is no pattern", text)
		}
	}
	return nil
}

// is tells whether a party is somebody: landline is empty for a room.
func (p party) is(landline, address string) bool {
	text := string(p)
	switch {
	case text == "*":
		return true
	case strings.HasPrefix(text, "@"):
		return strings.HasSuffix(address, text)
	case strings.Contains(text, "@"):
		return text == address
	}
	ok, _ := path.Match(text, landline) // its form was checked
	return ok && landline != ""
}

// relation is who writes, and to whom. both: or the other way round.
type relation struct {
	from, to party
	both     bool
}

// Pairs says who may, or may not, talk to whom: a list of party, or party>party.
type Pairs string

// UnmarshalText takes a list that can be read.
func (l *Pairs) UnmarshalText(text []byte) error {
	*l = Pairs(text)
	for _, r := range l.relations() {
		if err := errors.Join(r.from.check(), r.to.check()); err != nil {
			return err
		}
	}
	return nil
}

func (l Pairs) relations() (out relations) {
	for _, word := range fields(string(l)) {
		from, to, oneWay := strings.Cut(word, ">")
		r := relation{from: party(strings.TrimSpace(from)), to: party(strings.TrimSpace(to)), both: !oneWay}
		if r.both {
			r.to = "*"
		}
		out = append(out, r)
	}
	return out
}

type relations []relation

// some tells whether one of them is that of two.
func (l relations) some(from, to [2]string) bool {
	for _, p := range l {
		if p.from.is(from[0], from[1]) && p.to.is(to[0], to[1]) || p.both && p.from.is(to[0], to[1]) {
			return true
		}
	}
	return false
}

// May tells whether a landline may write to another, or to a room. identity are the rows of IDENTITY_FILE, which may change.
func (c *Config) May(identity func() map[string]string) func(from, to string) bool {
	allow, deny, domain := c.Messages.Allow.relations(), c.Messages.Deny.relations(), c.XMPP.Domain()
	if len(allow) == 0 && len(deny) == 0 {
		return nil
	}
	named := func(who string) [2]string {
		if strings.Contains(who, "@") {
			return [2]string{"", who} // a room
		}
		if row, ok := identity()[who]; ok {
			return [2]string{who, row}
		}
		return [2]string{who, who + "@" + domain}
	}
	return func(from, to string) bool {
		a, b := named(from), named(to)
		return !deny.some(a, b) && (len(allow) == 0 || allow.some(a, b))
	}
}
