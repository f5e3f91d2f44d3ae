package configs

import (
	"strings"
	"testing"
)

func TestMay(t *testing.T) {
	identity := map[string]string{"Ann": "ann@people.test", "3003": "x@else.test"}
	const room = "team@rooms.test"
	for name, tt := range map[string]struct {
		allow, deny string
		yes, no     []string // from>to
	}{
		"nothing said":  {"", "", []string{"1001>2002", "2002>1001", "1001>" + room}, nil},
		"denied":        {"", "1001", []string{"1002>2002"}, []string{"1001>2002", "2002>1001", "1001>" + room}},
		"pattern":       {"", "10*>20*", []string{"2002>1001", "1001>3003", "1001>" + room}, []string{"1001>2002"}},
		"JID":           {"", "ann@people.test", []string{"1001>2002"}, []string{"Ann>1001", "1001>Ann"}},
		"JID as it is":  {"", "3003@chat.test", []string{"3003>1001"}, nil},
		"domain":        {"", "@else.test>*", []string{"1001>3003", "1001>2002"}, []string{"3003>1001"}},
		"room":          {"", "*>team@rooms.test", []string{"1001>2002"}, []string{"1001>" + room}},
		"allowed alone": {"@chat.test>20*, 20*>@chat.test", "", []string{"1001>2002", "2002>1001"}, []string{"1001>1002", "Ann>2002", "2002>Ann", "1001>" + room}},
		"takes part":    {"2002, ann@people.test", "", []string{"1001>2002", "2002>1001", "Ann>1001"}, []string{"1001>1002"}},
		"deny wins":     {"*", "1001>2002", []string{"2002>1001", "1002>2002"}, []string{"1001>2002"}},
	} {
		c, err := Load(least("CHATRELAY_XMPP_USER_DOMAIN=chat.test", "CHATRELAY_ALLOW="+tt.allow, "CHATRELAY_DENY="+tt.deny))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		may := c.May(func() map[string]string { return identity })
		if may == nil {
			may = func(_, _ string) bool { return true }
		}
		for want, list := range map[bool][]string{true: tt.yes, false: tt.no} {
			for _, two := range list {
				from, to, _ := strings.Cut(two, ">")
				if got := may(from, to); got != want {
					t.Errorf("%s: %s: %v", name, two, got)
				}
			}
		}
	}
	for text, says := range map[string]string{">2002": "names nobody", "1001>": "names nobody", "@Chat.test": "no domain", "a@b/c": "has a resource", "[": "no pattern"} {
		if _, err := Load(least("CHATRELAY_DENY=" + text)); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "CHATRELAY_DENY") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Load(least("CHATRELAY_SENDER_RATE=-1")); err == nil || !strings.Contains(err.Error(), "CHATRELAY_SENDER_RATE") {
		t.Errorf("got %v", err)
	}
}
