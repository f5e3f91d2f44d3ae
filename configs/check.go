package configs

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mellium.im/xmpp/jid"
)

const (
	mostWindow     = 10_000
	leastMessage   = 1 << 10
	mostMessage    = 16 << 20
	leastStore     = 4 << 20
	messagePart    = 5 // of STORE_MAX_BYTES at most this part is one message: in the log, and then in the tables, beside a quarter of dead letters
	leastTrace     = 1 << 20
	mostDrain      = 10 * time.Minute
	longestTopic   = 65_535 - 1 - longestLandline // MQTT-4.7.3-3
	longestClient  = 200
	longestXMPPRes = 1023 // RFC 7622 §3.4.1
)

// check holds each value against what it may be, and against its neighbours.
// mostRate is beyond what any relay takes.
const mostRate = 100_000

func (c *Config) check() (out Problems) {
	out = append(out, c.MQTT.check()...)
	out = append(out, c.XMPP.check()...)
	out = append(out, c.Messages.check()...)
	out.say(c.Messages.SenderRate < 0 || c.Messages.SenderRate > mostRate, "SENDER_RATE", "is "+strconv.Itoa(c.Messages.SenderRate), "write a number from 0 (no limit) to "+strconv.Itoa(mostRate))
	out.say(c.Messages.SenderRate > 0 && !c.XMPP.Component(), "SENDER_RATE", "is set, but CHATRELAY_XMPP_MODE is not component", "leave it out: what waits for an account comes all at once, and would be refused")
	out.say(c.MQTT.Presence != "" && !c.XMPP.Component(), "MQTT_PRESENCE", "is set, but CHATRELAY_XMPP_MODE is not component", "leave it out: devices are nobody's contacts")
	n := c.Messages.Notices
	out.say((n.Received || n.Read || n.Typing) && !c.XMPP.Text(), "NOTICES", "is "+quoted(n.String())+", and people's clients say what they received, read and type to a component only, whose texts they show",
		"take out received, read and typing, or set CHATRELAY_XMPP_MODE to component")
	out = append(out, c.Store.check()...)
	largest := c.Store.MaxBytes / messagePart
	out.say(c.Messages.MaxMessage > largest, "MAX_MESSAGE",
		fmt.Sprintf("is %v, and a journal of %v (CHATRELAY_STORE_MAX_BYTES) may never have room for one of more than %v", c.Messages.MaxMessage, c.Store.MaxBytes, largest&^1023),
		fmt.Sprintf("lower it, or set CHATRELAY_STORE_MAX_BYTES to %v or more", messagePart*c.Messages.MaxMessage))
	out = append(out, c.HTTP.check()...)
	out = append(out, c.Console.check()...)
	out.oneOf("LOG_LEVEL", c.Log.Level, "debug", "info", "warn", "error")
	out.oneOf("LOG_FORMAT", c.Log.Format, "auto", "json", "console")
	out.say(c.Process.Drain <= 0 || c.Process.Drain > mostDrain, "DRAIN_TIMEOUT", "is "+c.Process.Drain.String(), "it must be more than 0 and at most 10m")
	return out
}

func (s *Store) check() (out Problems) {
	out.oneOf("STORE_SYNC", s.Sync, "full", "os")
	out.say(s.MaxBytes < leastStore, "STORE_MAX_BYTES", "is "+s.MaxBytes.String(), "it must be at least "+Size(leastStore).String())
	out.say(s.MaxPending < 0, "STORE_MAX_PENDING", fmt.Sprintf("is %d", s.MaxPending), "it must be at least 1; leave it out to have it made from the memory limit")
	out.say(s.DedupWindow < time.Second, "DEDUP_WINDOW", "is "+s.DedupWindow.String(), "it must be at least 1s; it should be longer than any outage")
	out.say(s.DedupMaxKeys < 1, "DEDUP_MAX_KEYS", fmt.Sprintf("is %d", s.DedupMaxKeys), "it must be at least 1")
	out.say(s.TraceMaxBytes > 0 && s.TraceMaxBytes < leastTrace, "TRACE_MAX_BYTES", "is "+s.TraceMaxBytes.String(),
		"it must be 0 (nothing is kept) or at least "+Size(leastTrace).String())
	return out
}

func (h *HTTP) check() (out Problems) {
	out.secret("HTTP_TOKEN", h.Token, h.TokenFile)
	_, port, err := net.SplitHostPort(h.Addr)
	out.say(err != nil || port == "", "HTTP_ADDR", "is "+quoted(h.Addr), "write host:port, such as 127.0.0.1:8080 or 0.0.0.0:8080")
	return out
}

func (m *Messages) check() (out Problems) {
	out.say(m.MaxMessage < leastMessage || m.MaxMessage > mostMessage, "MAX_MESSAGE", "is "+m.MaxMessage.String(),
		fmt.Sprintf("it must be from %v to %v", Size(leastMessage), Size(mostMessage)))
	out.addresses("TRUSTED_JIDS", m.Trusted)
	out.oneOf("GROUP_SENDERS", m.GroupSenders, GroupMembers, "any")
	if m.RoomTalk != "" {
		out.oneOf("ROOM_TALK", m.RoomTalk, envelopesOnly, allTalk)
	}
	re, err := compile(m.LandlinePattern)
	if err != nil {
		out.say(true, "LANDLINE_PATTERN", fmt.Sprintf("is no regular expression (%v)", err), "write one in RE2 syntax, such as [0-9]{4}")
		return out
	}
	for _, bad := range []string{"", "/", "a/b", "+", "#", "a+b", "a@b", "a b", "a\x00b", "a\n", "é", "<", "&", `"`, "'", ":"} {
		if re.MatchString(bad) {
			out.say(true, "LANDLINE_PATTERN", "takes "+fmt.Sprintf("%q", bad)+" for a landline",
				"let it match ASCII letters, digits and marks that are safe in topics and JIDs, such as [A-Za-z0-9._-]{1,64}")
			break
		}
	}
	return out
}

// compile anchors at both ends of the text; ^ and $ could be lines, and a|b binds weaker than they do.
func compile(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err // so that a|b) is not made whole by our own parentheses
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

const longestLandline = 255

// Landline tells what is one. The pattern must have been checked. It may be called from several goroutines.
func (m *Messages) Landline() (func(string) bool, error) {
	re, err := compile(m.LandlinePattern)
	if err != nil {
		return nil, err
	}
	return func(s string) bool {
		return len(s) > 0 && len(s) <= longestLandline && !strings.ContainsFunc(s, unsafe) && re.MatchString(s)
	}, nil
}

// unsafe are the characters that would make another topic or another JID of it (MQTT-4.7.1, RFC 7622 §3.3.1).
func unsafe(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/+#"&':<>@`, r)
}

// addresses wants bare addresses in the form in which they are compared.
func (p *Problems) addresses(name string, list []string) {
	for _, text := range list {
		wrong, remedy := bareJID(text)
		p.say(wrong != "", name, "holds "+quoted(text)+", which "+wrong, remedy)
	}
}

// bareJID says what keeps the text from being a bare address with a local part in canonical form.
func bareJID(text string) (wrong, remedy string) {
	j, err := jid.Parse(text)
	switch {
	case err != nil:
		return "is no JID", "write name@domain"
	case j.Localpart() == "":
		return "has no name before the @", "write name@domain"
	case j.Resourcepart() != "":
		return "has a resource", "write " + j.Bare().String()
	case j.String() != text:
		return "is compared in another form", "write " + j.String()
	}
	return "", ""
}

// loopback tells whether host is this machine by its very name.
func loopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// Loopback tells whether the page is served to this machine only.
func (h *HTTP) Loopback() bool {
	host, _, err := net.SplitHostPort(h.Addr)
	return err == nil && loopback(host)
}
