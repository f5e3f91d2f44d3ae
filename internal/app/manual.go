package app

import (
	"flag"
	"fmt"
	"strings"

	"chatrelay/configs"
)

// Manual writes the manual page in the language of man(7).
func Manual(p Process, all []Command) error {
	if err := p.noArguments("man"); err != nil {
		return err
	}
	_, err := fmt.Fprint(p.Out, manual(p.Version, all))
	return err
}

const manualHead = `DESCRIPTION
.B chatrelay
relays chat between an MQTT broker and an XMPP server. A person is a landline, with an inbox on MQTT and an account on
XMPP. What it has acknowledged it keeps in a journal on disk until the other side has confirmed it.
.PP
It is configured by environment variables alone (see
.BR ENVIRONMENT ).
Without a command it relays.
`

const manualTail = `.SH FILES
.TP
.I /etc/chatrelay/chatrelay.env
Settings of the service chatrelay.service, one NAME=value a line. Only root can read it.
.TP
.I /var/lib/chatrelay
The journal of that service.
.SH SIGNALS
.TP
SIGTERM, SIGINT
Finish what is in flight, then end. A second one: end at once.
.TP
SIGHUP
Read the groups, identity and TLS files now, not within a second of their change.
.SH SEE ALSO
.BR mosquitto (8),
.BR systemd.exec (5)
`

func manual(version string, all []Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "'\\\" -*- coding: utf-8 -*-\n.TH CHATRELAY 1 \"\" \"chatrelay %s\" \"User Commands\"\n", roff(version))
	b.WriteString(".SH NAME\nchatrelay \\- relay between MQTT inboxes and XMPP accounts\n.SH SYNOPSIS\n.nf\n")
	for _, c := range all {
		calls, _, _ := strings.Cut(strings.TrimPrefix(c.usage, "usage: "), "\n\n")
		for line := range strings.Lines(strings.TrimSpace(calls) + "\n") {
			b.WriteString(roff(strings.TrimSpace(line)) + "\n")
		}
	}
	b.WriteString(".fi\n.SH " + manualHead + ".SH COMMANDS\n")
	for _, c := range all {
		c.manual(&b)
	}
	b.WriteString(".SH ENVIRONMENT\n")
	for _, d := range configs.Describe() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s", roff(d.Name), roff(d.Text))
		if d.Default != "" {
			fmt.Fprintf(&b, " (%s)", roff(d.Default))
		}
		b.WriteByte('\n')
	}
	b.WriteString(manualTail)
	return b.String()
}

// manual is the command's part of the page.
func (c *Command) manual(b *strings.Builder) {
	fmt.Fprintf(b, ".SS %s\n%s.\n.PP\n.nf\n%s.fi\n", roff(c.Name), roff(strings.ToUpper(c.Summary[:1])+c.Summary[1:]), roff(c.usage))
	words := c.words
	if len(words) == 0 {
		words = []string{""}
	}
	for _, word := range words {
		each(c.flags(word), func(f *flag.Flag) {
			value, text := flag.UnquoteUsage(f)
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(word+" -"+f.Name+" "+value)), roff(text))
		})
	}
}

// each calls visit for each flag; a command may have none.
func each(flags *flag.FlagSet, visit func(*flag.Flag)) {
	if flags != nil {
		flags.VisitAll(visit)
	}
}

// roff is text that the formatter takes as it is: hyphens that can be copied, and no line that is a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`).Replace(text)
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "")
}
