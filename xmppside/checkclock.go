package xmppside

import (
	"context"
	"fmt"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// clockBound is how far the two clocks may be apart. Archives are searched by time, with skew to spare.
const clockBound = time.Minute

// clock compares the clock of a domain's server with ours (XEP-0202).
func (p *probe) clock(ctx context.Context, domain string) bridge.Step {
	asked := time.Now()
	e, err := p.Ask(ctx, domain, "get", "<time xmlns='"+stanza.NSTime+"'/>")
	answer := ""
	if err == nil {
		if utc := e.Child(stanza.NSTime, "time").Child(stanza.NSTime, "utc"); utc != nil {
			answer = utc.Text
		}
	}
	return clockStep(answer, asked, time.Now())
}

// clockStep judges what the server said between two times of ours.
func clockStep(utc string, asked, answered time.Time) bridge.Step {
	st := bridge.Step{Name: "xmpp server clock (XEP-0202)", OK: true, Note: "the server does not tell its time"}
	theirs, err := time.Parse(time.RFC3339, utc)
	if err != nil {
		return st
	}
	var apart time.Duration
	switch { // whatever lies between is as good as ours
	case theirs.Before(asked.Truncate(time.Second)): // it may tell whole seconds only
		apart = asked.Sub(theirs)
	case theirs.After(answered):
		apart = theirs.Sub(answered)
	}
	st.Note = "agrees with ours"
	if apart > clockBound {
		st.OK = false
		st.Note = fmt.Sprintf("is %v away from ours: certificates are judged, archives searched and notices stamped by them", apart.Round(time.Second))
		st.Fix = "set this machine's clock and that of the server of CHATRELAY_XMPP_JID by NTP"
	}
	return st
}
