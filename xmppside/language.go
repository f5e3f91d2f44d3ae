package xmppside

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// language is one that we have words in (BCP 47).
type language string

// The languages.
const (
	english language = "en"
	chinese language = "zh"
)

// languageOf is the language of a message's sender, where we have words in it; else English. Many clients say "en" whoever uses
// them, so what is written in Chinese counts more than that.
func languageOf(e *stanza.Element) language {
	body := e.Child(stanza.NSClient, "body")
	tag := cmp.Or(body.Lang(), e.Lang())
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-") // RFC 4647 §3.4
	switch {
	case primary == string(chinese), primary != "ja" && body != nil && inChinese(body.Text):
		return chinese
	}
	return english
}

// enoughText is how many bytes of a text show its language.
const enoughText = 300

// inChinese tells whether a text has Chinese characters, and none of those that a Japanese or Korean text has beside them. What an
// envelope is about says nothing of who wrote it.
func inChinese(text string) bool {
	found := false
	for _, r := range text[:min(len(text), enoughText)] {
		switch {
		case r == '{' && !found:
			return false
		case r < utf8.RuneSelf:
		case unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			return false
		case unicode.Is(unicode.Han, r):
			found = true
		}
	}
	return found
}

// says puts a refusal's sentence into a language; it stays in English where there is no other for that reason.
func (l language) says(reason, text string) (string, language) {
	if l == chinese {
		if translated := chineseFor(reason); translated != "" {
			return translated, chinese
		}
	}
	return text, english
}

// chineseFor has what people meet who write as to anybody else. What only programs get wrong is in English.
func chineseFor(reason string) string {
	switch reason {
	case bridge.PlainText:
		return `您的消息没有送达任何人，因为此账号不识别纯文本：请使用本服务配套的应用，或直接写给对方自己的地址，或发送 JSON，例如 {"from":"1001","to":"1002","content":"你好"}。`
	case "encrypted":
		return "这条消息已加密，而中继没有密钥，无法读取：请在此聊天中关闭加密后重新发送。"
	case "reaction":
		return "此联系人收不到表情回应：请直接发送消息。"
	case "retraction":
		return "无法撤回此消息。"
	case "unknown_sender":
		return "您的账号没有对应的号码，消息未送达：请联系管理员。"
	case "bad_address":
		return "没有这个联系人：请检查地址。"
	case "denied":
		return "您无权向此联系人发送消息。"
	case "rate":
		return "您发送消息过于频繁：请稍候重新发送。"
	case "full":
		return "中继暂时没有空间接收更多消息，请稍后重新发送。"
	}
	return ""
}
