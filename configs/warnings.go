package configs

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// Warnings are what the relay runs with, though somebody should look at it. They never show a secret.
func (c *Config) Warnings() (out Problems) {
	out.weak("MQTT_PASSWORD", c.MQTT.Password, c.MQTT.PasswordFile)
	out.weak("XMPP_PASSWORD", c.XMPP.Password, c.XMPP.PasswordFile)
	out.weak("HTTP_TOKEN", c.HTTP.Token, c.HTTP.TokenFile)
	out.weak("CONSOLE_TOKEN", c.Console.Token, c.Console.TokenFile)
	out.weak("CONSOLE_READ_TOKEN", c.Console.ReadToken, c.Console.ReadTokenFile)
	out.open("MQTT_KEY_FILE", c.MQTT.KeyFile)
	return out
}

// weak looks at one secret and its source.
func (p *Problems) weak(name string, value Secret, file string) {
	text, where := string(value), name
	if file != "" {
		where = name + "_FILE"
		p.open(where, file)
		text, _ = readSecret(file) // one that cannot be read is a problem already
	}
	p.say(text != "" && strings.TrimFunc(text, unicode.IsSpace) != text, where, "begins or ends in blanks, which are taken for a part of the secret",
		"take them out, if they are not meant (printf %s writes a file without them)")
}

const othersRead = 0o004

// open warns of a secret that every user of the machine may read.
func (p *Problems) open(name, file string) {
	info, err := os.Stat(file)
	if file == "" || err != nil {
		return
	}
	p.say(info.Mode().Perm()&othersRead != 0, name, fmt.Sprintf("names a file that everybody may read (mode %04o)", info.Mode().Perm()),
		"chmod 600 (or 640, with the relay's group; in Kubernetes defaultMode: 0440)")
}
