package stage

import (
	"encoding/json"
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

// Direct makes a message from one landline to another.
func Direct(from, to, content string) Envelope {
	return Envelope{ChatType: 1, Content: content, From: from, To: to, TimeStamp: time.Now().UnixMilli(), Name: "N " + from}
}

// Grouped makes a message to a room.
func Grouped(from, room, content string) Envelope {
	return Envelope{ChatType: 2, Content: content, From: from, GroupJID: room, GroupName: "Team", TimeStamp: time.Now().UnixMilli()}
}
