package xmppside

import (
	"context"
	"strings"
	"time"

	"chatrelay/internal/wait"
	"chatrelay/xmppside/stanza"
)

// queryAfter lets a connection settle first: there may be more to be said and read at its start.
const queryAfter = time.Second

// querySoftware asks the server what it is (XEP-0092). Until it has said that it is another than Prosody it is taken for one.
func (c *connection) querySoftware(ctx context.Context) {
	s := c.s
	if !wait.Pause(ctx, queryAfter) {
		return
	}
	name, err := softwareOf(ctx, c, stanza.Domain(stanza.Bare(c.full)))
	if err != nil {
		s.log.Debug().Err(err).Msg("the server does not say what it is")
		return
	}
	s.setSoftware(name)
	s.st.SetReadSize(readSizeFor(name))
}

// softwareOf asks somebody for the name of the software (XEP-0092); empty: it gives none.
func softwareOf(ctx context.Context, k *connection, address string) (string, error) {
	e, err := k.Ask(ctx, address, "get", "<query xmlns='"+stanza.NSVersion+"'/>")
	if err != nil {
		return "", err
	}
	if name := e.Child(stanza.NSVersion, "query").Child(stanza.NSVersion, "name"); name != nil {
		return strings.TrimSpace(name.Text), nil
	}
	return "", nil
}
