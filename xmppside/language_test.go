package xmppside

import (
	"strings"
	"testing"

	"chatrelay/bridge"
)

func TestLanguageOf(t *testing.T) {
	for name, c := range map[string]struct {
		stanza string
		want   language
	}{
		"nothing said":              {"<message><body>hello</body></message>", english},
		"English":                   {"<message xml:lang='en'><body>hello</body></message>", english},
		"one that we have not":      {"<message xml:lang='de'><body>hallo</body></message>", english},
		"Chinese":                   {"<message xml:lang='zh'><body>hello</body></message>", chinese},
		"with a region":             {"<message xml:lang='ZH-cn'><body>hello</body></message>", chinese},
		"another that begins so":    {"<message xml:lang='zha'><body>hello</body></message>", english},
		"of the body":               {"<message xml:lang='en'><body xml:lang='zh-Hans'>hello</body></message>", chinese},
		"the body's counts":         {"<message xml:lang='zh'><body xml:lang='en'>hello</body></message>", english},
		"no xml:lang":               {"<message lang='zh'><body>hello</body></message>", english},
		"a client that says en":     {"<message xml:lang='en'><body>你好</body></message>", chinese},
		"mixed":                     {"<message><body>OK, 你好!</body></message>", chinese},
		"Japanese":                  {"<message><body>今日は</body></message>", english},
		"Japanese without kana":     {"<message xml:lang='ja'><body>了解</body></message>", english},
		"Korean":                    {"<message><body>漢字와 한글</body></message>", english},
		"Russian":                   {"<message><body>привет</body></message>", english},
		"an envelope":               {"<message xml:lang='en'><body>{\"content\":\"你好\"}</body></message>", english},
		"an envelope in Chinese":    {"<message xml:lang='zh'><body>{\"content\":\"hi\"}</body></message>", chinese},
		"far behind":                {"<message><body>" + strings.Repeat("a", 300) + "你好</body></message>", english},
		"without a body, encrypted": {"<message xml:lang='zh'/>", chinese},
	} {
		t.Run(name, func(t *testing.T) {
			if got := languageOf(parse(t, c.stanza)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// The journal keeps in which language an answer is due; what has no words in it is in English, and says so.
func TestErrorInLanguage(t *testing.T) {
	s := unit(t)
	in := s.classify(parse(t, "<message type='chat' xml:lang='zh' from='1001@chat.test/x' id='1'><body>hello</body></message>")).in
	for reason, c := range map[string]struct{ lang, part string }{
		bridge.PlainText: {"zh", "此账号不识别纯文本"},
		"encrypted":      {"zh", "已加密"},
		"full":           {"zh", "没有空间"},
		"from_mismatch":  {"en", "the English one"},
	} {
		note := bridge.Note{Reply: bridge.ParseReplyTo(in.Reply.Stored()), Reason: reason, Text: "the English one"}
		r, why := s.render(&bridge.Outbound{Kind: bridge.KindError, Note: note})
		if why != nil || !strings.Contains(string(r.raw), "xml:lang='"+c.lang+"'>") || !strings.Contains(string(r.raw), c.part) {
			t.Errorf("%s: %v\n%s", reason, why, r.raw)
		}
	}
}
