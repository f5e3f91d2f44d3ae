package mqttside

import (
	"strings"
	"testing"

	"chatrelay/mqttside/session"
)

// TestConnackCodes: only a refused version, or a code that MQTT 5 does not know there, is a reason for a plainer level, by which the
// broker says nothing of what it refuses. What a person can mend is named with how.
func TestConnackCodes(t *testing.T) {
	for code, want := range map[byte]struct {
		answer answer
		says   string
	}{
		0x01: {answerLevel, ""}, 0x80: {answerOther, ""}, 0x81: {answerLevel, ""}, 0x82: {answerLevel, ""}, 0x83: {answerOther, ""},
		0x84: {answerLevel, "protocol level"}, 0x85: {answerOther, "client id"}, 0x86: {answerLogin, ""}, 0x87: {answerLogin, ""},
		0x88: {answerOther, ""}, 0x89: {answerOther, ""}, 0x8a: {answerLogin, ""}, 0x8b: {answerOther, ""}, 0x8c: {answerLogin, ""},
		0x90: {answerOther, "CHATRELAY_STATUS_TOPIC"}, 0x95: {answerOther, "CHATRELAY_STATUS_TOPIC"}, 0x97: {answerOther, ""},
		0x99: {answerOther, "CHATRELAY_STATUS_TOPIC"}, 0x9a: {answerRetain, "CHATRELAY_STATUS_TOPIC"}, 0x9b: {answerOther, "no QoS above 0"},
		0x9c: {answerOther, ""}, 0x9d: {answerOther, ""}, 0x9f: {answerOther, ""}, 0xfe: {answerLevel, ""},
	} {
		err := session.Refused{Level: level5, Code: code}
		if got := answerOf(err); got != want.answer {
			t.Errorf("%s: %v, want %v", session.NameOf(code), got, want.answer)
		}
		if text := explain(err).Error(); !strings.Contains(text, want.says) || !strings.Contains(text, session.NameOf(code)) {
			t.Errorf("%s: %q", session.NameOf(code), text)
		}
	}
}
