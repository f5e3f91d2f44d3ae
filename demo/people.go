package main

import (
	"fmt"
	"strings"
)

// person has a landline: an inbox on the broker and an account on the chat server.
type person struct {
	Landline string `json:"landline"`
	Name     string `json:"name"`
	Password string `json:"password"`
	Opens    string `json:"opens"` // the chat that is open at first
}

// group is a room on the chat server; all people are in it.
type group struct {
	JID  string `json:"jid"`
	Name string `json:"name"`
}

const (
	domain   = "chat.test"
	account  = "receiver" // the relay's on the chat server
	prefix   = "/chat"
	roomName = "family"

	// Of the second relay, by which landlines are people on XMPP.
	component  = "phones" // its name on the chat server
	textPrefix = "/text"  // two relays share no inbox: each would carry what the other has carried

	relayUser   = "relay"   // the relay's on the broker
	backendUser = "backend" // a program of the house that may write into inboxes
)

var (
	roomJID = roomName + "@conference." + domain
	people  = []person{
		{Landline: "1001", Name: "Anna", Password: password("1001"), Opens: "1002"},
		{Landline: "1002", Name: "Ben", Password: password("1002"), Opens: "1001"},
		{Landline: "1003", Name: "Clara", Password: password("1003"), Opens: friend.Landline},
	}
	// friend has no phone: her client is an ordinary one of XMPP, which knows of no envelope.
	friend = person{Landline: "dora", Name: "Dora", Password: password("dora"), Opens: "1003"}
	groups = []group{{JID: roomJID, Name: "Family"}}
)

func password(user string) string { return "pw-" + user }

// brokerACL lets each landline read its own inboxes. MQTT 3.1.1 does not say who published, so whoever may write
// into inboxes may write in anybody's name: phones write to nobody but the friend, whom they reach in no other way.
func brokerACL() string {
	acl := `user ` + relayUser + `
topic readwrite ` + prefix + `/#
topic readwrite ` + textPrefix + `/#
topic readwrite chatrelay/#

user ` + backendUser + `
topic write ` + prefix + `/#
`
	for _, p := range people {
		acl += "\nuser " + p.Landline + "\ntopic write " + textPrefix + "/" + friend.Landline + "\n"
	}
	return acl + `
pattern read ` + prefix + `/%u
pattern read ` + textPrefix + `/%u
`
}

// brokerUsers is the password list of the broker.
func brokerUsers() map[string]string {
	users := map[string]string{relayUser: password(relayUser), backendUser: password(backendUser)}
	for _, p := range people {
		users[p.Landline] = p.Password
	}
	return users
}

// chatUsers is the account list of the chat server.
func chatUsers() map[string]string {
	users := map[string]string{account: password(account), friend.Landline: friend.Password}
	for _, p := range people {
		users[p.Landline] = p.Password
	}
	return users
}

// groupsCSV is the relay's groups file: one member a line, no header.
func groupsCSV() string {
	var b strings.Builder
	for _, g := range groups {
		for _, p := range people {
			fmt.Fprintf(&b, "%s,%s\n", g.JID, p.Landline)
		}
	}
	return b.String()
}
