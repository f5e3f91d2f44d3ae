package configs

import "regexp"

// leastToken is how long a token of the console is at least: it is all that stands before the page.
const leastToken = 16

const hostName = `^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?$`

func (c *Console) check() (out Problems) {
	all := out.token("CONSOLE_TOKEN", c.Token, c.TokenFile)
	some := out.token("CONSOLE_READ_TOKEN", c.ReadToken, c.ReadTokenFile)
	out.say(all != "" && all == some, "CONSOLE_READ_TOKEN", "is the token of CHATRELAY_CONSOLE_TOKEN", "write another one: who has it could change dead letters")
	out.say(len(c.Hosts) > 0 && all == "" && some == "", "CONSOLE_HOSTS", "is set, but there is no console", "set CHATRELAY_CONSOLE_TOKEN too, or leave it out")
	name := regexp.MustCompile(hostName)
	for _, host := range c.Hosts {
		out.say(!name.MatchString(host), "CONSOLE_HOSTS", "holds "+quoted(host), "write names without scheme and port, such as relay.example.org")
	}
	return out
}

// token wants a long one; it gives what it is, or empty.
func (p *Problems) token(name string, value Secret, file string) string {
	before := len(*p)
	p.secret(name, value, file)
	read := source(value, file)
	if read == nil || len(*p) > before {
		return ""
	}
	text, _ := read() // it could be read just now
	where := name
	if file != "" {
		where = name + "_FILE"
	}
	p.say(len(text) < leastToken, where, "is a token of less than 16 characters", "write a long random one, such as openssl rand -hex 24 makes")
	return text
}
