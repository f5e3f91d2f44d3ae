package configs

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// files reads the tables that the configuration names; every bad line of them is a problem of its own.
func (c *Config) files() (out Problems) {
	landline, err := c.Messages.Landline()
	if err != nil {
		landline = func(string) bool { return true } // the pattern has been reported
	}
	c.Groups = make(map[string][]string)
	for _, room := range c.XMPP.Rooms {
		c.Groups[room] = nil
	}
	known := make(map[[2]string]bool)
	out.table("GROUPS_FILE", c.Messages.GroupsFile, "groupJid,landline", func(room, member string) string {
		if wrong, remedy := bareJID(room); wrong != "" {
			return quoted(room) + " " + wrong + ": " + remedy
		}
		if why := c.noLandline(member, landline); why != "" {
			return why
		}
		if known[[2]string{room, member}] {
			return member + " is a member of this room already"
		}
		known[[2]string{room, member}] = true
		c.Groups[room] = append(c.Groups[room], member)
		return ""
	})
	c.Identity = make(map[string]string)
	owner := make(map[string]string)
	out.table("IDENTITY_FILE", c.Messages.IdentityFile, "landline,jid", func(name, address string) string {
		if why := c.noLandline(name, landline); why != "" {
			return why
		}
		if wrong, remedy := bareJID(address); wrong != "" {
			return quoted(address) + " " + wrong + ": " + remedy
		}
		switch other := owner[address]; {
		case c.Identity[name] != "":
			return name + " has a row already"
		case other != "":
			return address + " is the JID of " + other + " already"
		case address == c.XMPP.JID:
			return address + " is the relay's own account"
		}
		c.Identity[name], owner[address] = address, name
		return ""
	})
	return out
}

func (c *Config) noLandline(text string, landline func(string) bool) string {
	switch {
	case !landline(text):
		return quoted(text) + " is no landline (" + Prefix + "LANDLINE_PATTERN)"
	case text == c.XMPP.Account():
		return text + " is the relay's own account, which is no landline"
	}
	return ""
}

// table hands the two fields of each line to take, which says what is wrong with them or nothing.
func (p *Problems) table(name, file, form string, take func(a, b string) string) {
	if file == "" {
		return
	}
	const remedy = "one row a line, no header: "
	f, err := os.Open(file)
	if err != nil {
		p.say(true, name, fmt.Sprintf("cannot be read (%v)", err), "name a CSV file, "+remedy+form)
		return
	}
	defer f.Close() // read only
	r := csv.NewReader(f)
	r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord = -1, true, true
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		line, why := 0, ""
		var bad *csv.ParseError
		switch {
		case errors.As(err, &bad):
			line, why = bad.Line, bad.Err.Error()
		case err != nil:
			p.say(true, name, fmt.Sprintf("cannot be read (%v)", err), "name a CSV file, "+remedy+form)
			return
		default:
			line, _ = r.FieldPos(0)
			why = rowOf(row, take)
		}
		p.say(why != "", name, fmt.Sprintf("line %d: %s", line, why), remedy+form)
	}
}

func rowOf(row []string, take func(a, b string) string) string {
	if len(row) != 2 {
		return fmt.Sprintf("has %d fields instead of 2", len(row))
	}
	return take(strings.TrimSpace(row[0]), strings.TrimSpace(row[1]))
}

// clashes finds names that stand for two things.
func (c *Config) clashes() (out Problems) {
	where := ""
	if c.Identity[c.MQTT.ClientID] != "" {
		where = Prefix + "IDENTITY_FILE"
	}
	for _, members := range c.Groups {
		if slices.Contains(members, c.MQTT.ClientID) {
			where = Prefix + "GROUPS_FILE"
		}
	}
	// A person's client that logs in under the same id would throw the relay out, and get its messages.
	out.say(where != "", "MQTT_CLIENT_ID", "is "+quoted(c.MQTT.ClientID)+", a landline in "+where, "choose a name that no landline has")
	return out
}
