package stage

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Prefix is the first part of every inbox topic.
const Prefix = "/chat"

// Inbox is the topic of a landline.
func Inbox(name string) string { return Prefix + "/" + name }

// Envelope is what a test writes and reads.
type Envelope struct {
	ChatType    int    `json:"chatType"`
	Content     string `json:"content"`
	From        string `json:"from"`
	To          string `json:"to"`
	ContentType int    `json:"contentType"`
	GroupJID    string `json:"groupJid,omitempty"`
	GroupName   string `json:"groupName,omitempty"`
	ID          string `json:"id,omitempty"`
	TimeStamp   int64  `json:"timeStamp"`
	Name        string `json:"name"`

	Status     string `json:"status,omitempty"`
	Reason     string `json:"reason,omitempty"`
	StatusTime int64  `json:"statusTime,omitempty"`
}

func (e Envelope) String() string {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(b)
}

// Notice tells whether it is one of the relay's.
func (e Envelope) Notice() bool { return e.Status != "" && e.StatusTime != 0 }

// About is the content of the message that it is, or is a notice of. A notice about an MQTT message has no content: the
// id tells.
func (e Envelope) About() string {
	if e.Content != "" || !e.Notice() {
		return e.Content
	}
	if at := strings.LastIndex(e.ID, idMark); at >= 0 {
		return e.ID[:at]
	}
	return ""
}

const (
	idMark      = "@" // between content and time
	mostContent = 200 // of a content that is part of the id, which has at most 255 bytes
)

// Direct makes a message from one landline to another.
func Direct(from, to, content string) Envelope {
	return Envelope{ChatType: 1, Content: content, From: from, To: to, Name: "N " + from}.now()
}

// Grouped makes a message to a room.
func Grouped(from, room, content string) Envelope {
	return Envelope{ChatType: 2, Content: content, From: from, GroupJID: room, GroupName: "Team"}.now()
}

// now gives a message its time, and an id by which its notices are known.
func (e Envelope) now() Envelope {
	e.TimeStamp = time.Now().UnixMilli()
	if len(e.Content) <= mostContent {
		e.ID = e.Content + idMark + strconv.FormatInt(e.TimeStamp, 10)
	}
	return e
}
