package message

// The reasons of refusals: fixed words, used as metric labels and in the journal. Never rename one.
const (
	TooLarge       = "too_large"
	NotJSON        = "not_json"
	NotObject      = "not_object"
	TrailingData   = "trailing_data"
	TooDeep        = "too_deep"
	BadUTF8        = "bad_utf8"
	BadSurrogate   = "bad_surrogate"
	DuplicateField = "duplicate_field"
	BadFrom        = "bad_from"
	BadTo          = "bad_to"
	BadContent     = "bad_content"
	BadContentType = "bad_content_type"
	BadChatType    = "bad_chat_type"
	BadGroup       = "bad_group"
	BadTime        = "bad_time"
	BadID          = "bad_id"
	BadName        = "bad_name"
	BadPhoto       = "bad_photo"
)

// Refusal says why a body is no envelope that can be relayed.
type Refusal struct {
	Reason string // one of few fixed words
	Text   string // a sentence for a person; no message content
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Text }

// refuse makes a Refusal. Text is written here in the package, never taken from a body.
func refuse(reason, text string) *Refusal { return &Refusal{Reason: reason, Text: text} }
