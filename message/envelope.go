package message

// Rules are the limits an envelope is read under.
type Rules struct {
	MaxBytes int               // a larger body is refused before parsing; 0: no limit
	Landline func(string) bool // nil: DefaultLandline
	Own      string            // the relay's own account name, which is no landline; empty: none
}

// Envelope is what the relay reads of a message. The body itself travels as it came.
type Envelope struct {
	From, To            string // landlines; To may be empty
	GroupJID, GroupName string
	ChatType            int64 // 1 direct, 2 group; missing: 0. Group() decides, not this
	ContentType         int64 // missing or null: 0
	Content             string
	ID                  string // "id", else "msgId"; empty: none
	Time                int64  // ms since the epoch
	HasTime             bool
	Notice              bool // status is sent, delayed, failed, received or read and statusTime is there

	subMS uint32 // what timeStamp says below a millisecond, in picoseconds: two times apart stay apart in the key
}

// Group tells whether the envelope is a group message: it has a non-empty groupJid.
func (e *Envelope) Group() bool { return e.GroupJID != "" }

// Identified tells whether the envelope has an identity of its own: an id or a timeStamp.
func (e *Envelope) Identified() bool { return e.ID != "" || e.HasTime }

// maxLandline is the length of the longest landline under the default rule.
const maxLandline = 64

// DefaultLandline is [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
func DefaultLandline(s string) bool {
	if s == "" || len(s) > maxLandline || !alphanumeric(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !alphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// landline is the one rule that from and to go through.
func (r *Rules) landline(s string) bool {
	if s == "" || s == r.Own {
		return false
	}
	if r.Landline != nil {
		return r.Landline(s)
	}
	return DefaultLandline(s)
}
