package configs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Files are what the relay reads from files, at its start and whenever they change. They never change themselves.
type Files struct {
	// Groups are the served rooms with their members, of GROUPS_FILE and XMPP_ROOMS together.
	Groups map[string][]string
	// Identity holds the rows of IDENTITY_FILE: landline to bare JID.
	Identity map[string]string

	MQTTRoots, XMPPRoots *x509.CertPool    // nil: the system's
	MQTTCertificates     []tls.Certificate // the relay's own, for the broker
}

// Reread reads the files anew. Its error is of type Problems; nothing of what was read must be used then.
func (c *Config) Reread() (Files, error) {
	f, problems := c.read()
	if len(problems) > 0 {
		return Files{}, problems
	}
	return f, nil
}

// Watched are the files of which a change counts while the relay runs. Those of secrets are read at each use.
func (c *Config) Watched() (files []string) {
	for _, name := range []string{c.Messages.GroupsFile, c.Messages.IdentityFile, c.MQTT.CAFile, c.MQTT.CertFile, c.MQTT.KeyFile, c.XMPP.CAFile} {
		if name != "" {
			files = append(files, name)
		}
	}
	return files
}

// read reads what the configuration names; every bad line of a table is a problem of its own.
func (c *Config) read() (f Files, out Problems) {
	landline, err := c.Messages.Landline()
	if err != nil {
		landline = func(string) bool { return true } // the pattern has been reported
	}
	f.Groups = make(map[string][]string)
	for _, room := range c.XMPP.Rooms {
		f.Groups[room] = nil
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
		f.Groups[room] = append(f.Groups[room], member)
		return ""
	})
	f.Identity = make(map[string]string)
	owner := make(map[string]string)
	out.table("IDENTITY_FILE", c.Messages.IdentityFile, "landline,jid", func(name, address string) string {
		if why := c.noLandline(name, landline); why != "" {
			return why
		}
		if wrong, remedy := bareJID(address); wrong != "" {
			return quoted(address) + " " + wrong + ": " + remedy
		}
		switch other := owner[address]; {
		case f.Identity[name] != "":
			return name + " has a row already"
		case other != "":
			return address + " is the JID of " + other + " already"
		case address == c.XMPP.JID:
			return address + " is the relay's own account"
		case c.XMPP.Component() && strings.HasSuffix(address, "@"+c.XMPP.JID):
			return address + " is an address of the component: write where the person lives"
		case served(f.Groups, address):
			return address + " is a room"
		}
		f.Identity[name], owner[address] = address, name
		return ""
	})
	f.MQTTRoots = out.authorities("MQTT_CA_FILE", c.MQTT.CAFile)
	f.XMPPRoots = out.authorities("XMPP_CA_FILE", c.XMPP.CAFile)
	f.MQTTCertificates = out.pair(c.MQTT.CertFile, c.MQTT.KeyFile)
	out.clashes(c.MQTT.ClientID, &f, landline)
	return f, out
}

func served(groups map[string][]string, room string) bool {
	_, ok := groups[room]
	return ok
}

// likelyLandline tells whether a client id is rather a person's landline. A pattern that takes any word takes a relay's
// usual name with it: there only a number is one.
func likelyLandline(id string, landline func(string) bool) bool {
	return id != "" && landline(id) && (!landline("chatrelay") || strings.Trim(id, "0123456789") == "")
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
func (p *Problems) clashes(clientID string, f *Files, landline func(string) bool) {
	where := ""
	if f.Identity[clientID] != "" {
		where = Prefix + "IDENTITY_FILE"
	}
	for _, members := range f.Groups {
		if slices.Contains(members, clientID) {
			where = Prefix + "GROUPS_FILE"
		}
	}
	// A person's client that logs in under the same id would throw the relay out, and get its messages.
	if where == "" && likelyLandline(clientID, landline) {
		where = "the form of " + Prefix + "LANDLINE_PATTERN"
	}
	p.say(where != "", "MQTT_CLIENT_ID", "is "+quoted(clientID)+", a landline in "+where, "choose a name that no landline has")
}

// authorities wants a file with at least one certificate; none is named: nil, the system's.
func (p *Problems) authorities(name, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pool := x509.NewCertPool()
	b, err := os.ReadFile(file)
	if err == nil && !pool.AppendCertsFromPEM(b) {
		err = fmt.Errorf("%s holds no certificate", file)
	}
	p.say(err != nil, name, fmt.Sprintf("cannot be used (%v)", err), "name a PEM file with the certificates of the authorities to trust")
	return pool
}

// pair reads the relay's own certificate with its key, where both are named.
func (p *Problems) pair(cert, key string) []tls.Certificate {
	if cert == "" || key == "" {
		return nil
	}
	own, err := tls.LoadX509KeyPair(cert, key)
	p.say(err != nil, "MQTT_CERT_FILE", fmt.Sprintf("cannot be used (%v)", err), "name a PEM certificate, and its key in CHATRELAY_MQTT_KEY_FILE")
	return []tls.Certificate{own}
}
