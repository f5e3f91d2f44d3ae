package mqttside

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"chatrelay/bridge"
)

const (
	maxPrefix = 1024
	maxTopic  = 60_000 // MQTT has no room for more than 65535 bytes (MQTT-1.5.3)
)

// control tells characters that make brokers cut the connection (MQTT-1.5.3).
func control(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError || r&0xfffe == 0xfffe }

// plainTopic tells whether a topic may be published to. It does not depend on the configured pattern: one
// bad topic in a session that is kept would be resent, and cut the connection, for ever.
func plainTopic(t string) bool {
	return t != "" && len(t) <= maxTopic && utf8.ValidString(t) && !strings.ContainsAny(t, "+#") && !strings.ContainsFunc(t, control)
}

// topic is the inbox of a landline.
func (s *Side) topic(landline string) (string, *bridge.Refusal) {
	if !s.landline(landline) {
		return "", bridge.Refuse("bad_to", "the recipient is no landline")
	}
	t := s.cfg.Prefix + "/" + landline
	if strings.Contains(landline, "/") || !plainTopic(t) {
		return "", bridge.Refuse("bad_to", "the recipient cannot be written as an MQTT topic")
	}
	return t, nil
}

// inboxOf is the landline of a topic: exactly one level below the prefix.
func (s *Side) inboxOf(topic string) (string, bool) {
	landline, ok := strings.CutPrefix(topic, s.cfg.Prefix+"/")
	if !ok || !plainTopic(topic) || strings.Contains(landline, "/") || !s.landline(landline) {
		return "", false
	}
	return landline, true
}

func (s *Side) landline(l string) bool {
	return l != "" && l != s.cfg.Own && !isProbeName(l) && s.cfg.Landline(l)
}

// filter is what the side subscribes to.
func (s *Side) filter() string { return s.cfg.Prefix + "/+" }
