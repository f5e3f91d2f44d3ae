package xmppside

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// Pings as long as a message are sent, to see whether the server slows us down. Debian's Prosody reads 10 kB/s, Debian's
// ejabberd 3, after a burst of 20 kB.
const (
	pacePings  = 400
	pingLength = 300    // bytes; about those of a message
	paceAtOnce = 100    // unanswered, at most: a far server answers as well
	leastPace  = 12_000 // bytes a second; whoever reads less has been told to
	paceLook   = time.Second
	paceMost   = 10 * time.Second
)

// paceFix says where the limits of servers are.
const paceFix = `lift it for the account in CHATRELAY_XMPP_JID: unlimited_jids, or a higher rate in limits (Prosody), or a rule for it in c2s_shaper (ejabberd)`

// pace tells whether the server takes messages as fast as they come. slowed: what follows on this connection would wait.
func (p *probe) pace(ctx context.Context, domain string) (st bridge.Step, slowed bool) {
	st = bridge.Step{Name: "xmpp rate limit", OK: true}
	if err := p.ping(ctx, domain, pingLength); err != nil {
		st.OK, st.Note, st.Fix = false, "the server does not answer a ping ("+err.Error()+")", "look at the log of the server of CHATRELAY_XMPP_JID"
		return st, true
	}
	ctx, cancel := context.WithTimeout(ctx, paceMost)
	defer cancel()
	began := time.Now()
	answered, rate := p.flood(ctx, cancel, domain)
	switch {
	case answered == pacePings:
		st.Note = fmt.Sprintf("not met: %d pings of %d bytes in %v", pacePings, pingLength, time.Since(began).Round(time.Millisecond))
		return st, false
	case p.l.Context().Err() != nil:
		st.OK, st.Note = false, fmt.Sprintf("the server ends the connection over %d pings", pacePings)
	default:
		st.OK, st.Note = false, fmt.Sprintf("the server reads about %.1f kB/s of us: %d messages a second", float64(rate)/1000, max(1, rate/pingLength))
	}
	st.Fix = paceFix
	if p.own.isComponent() {
		st.Fix = "lift it for the component in CHATRELAY_XMPP_JID (ejabberd: shaper_rule of its listener)"
	}
	return st, true
}

// flood sends the pings. It ends early once the server reads too little, two looks in a row; rate is what it read then, in
// bytes a second.
func (p *probe) flood(ctx context.Context, end func(), domain string) (answered, rate int) {
	var sent, got atomic.Int64
	var all sync.WaitGroup
	for range paceAtOnce {
		all.Go(func() { // ends with ctx; waited for below
			for sent.Add(1) <= pacePings && p.ping(ctx, domain, pingLength) == nil {
				got.Add(1)
			}
		})
	}
	finished := make(chan struct{})
	go func() { defer close(finished); all.Wait() }() // ends with them; waited for below
	defer func() { <-finished }()
	look := time.NewTicker(paceLook)
	defer look.Stop()
	looks := []int64{0}
	for {
		select {
		case <-finished:
			return int(got.Load()), rate
		case <-look.C:
		}
		looks = append(looks, got.Load())
		if n := len(looks); n > 2 {
			per := int(looks[n-1]-looks[n-3]) * pingLength / int(2*paceLook/time.Second)
			if rate = per; rate < leastPace {
				end()
			}
		}
	}
}

// ping is a ping (XEP-0199) of a length. An answer that says no is one.
func (p *probe) ping(ctx context.Context, domain string, length int) error {
	const around = 130 // bytes of the rest of it
	pad := make([]byte, max(0, length-around))
	for i := range pad {
		pad[i] = ' '
	}
	_, err := p.Ask(ctx, domain, "get", "<ping xmlns='"+stanza.NSPing+"'>"+string(pad)+"</ping>")
	if stanza.IsAnswer(err) {
		err = nil
	}
	return err
}

// size tries a stanza as long as the relay may send. It comes last: a server ends the connection over one that is too long.
func (p *probe) size(ctx context.Context, cfg *Config, domain string, slowed bool) bridge.Step {
	st := bridge.Step{Name: "xmpp stanza limit (XEP-0478)", OK: true}
	const advice = "raise it (c2s_stanza_size_limit of Prosody, max_stanza_size of ejabberd), or lower CHATRELAY_MAX_MESSAGE"
	most := cmp.Or(p.limit, defaultStanza)
	switch {
	case p.absurd != "":
		st.OK, st.Note, st.Fix = false, fmt.Sprintf("the server says %q, which cannot be right: it is ignored", p.absurd), "correct it at the server of CHATRELAY_XMPP_JID"
	case p.limit > 0 && p.limit < cfg.MaxMessage+aroundBody:
		st.OK, st.Note, st.Fix = false, fmt.Sprintf("the server takes %d bytes: longer messages are refused", p.limit), advice
	case slowed:
		st.Note = fmt.Sprintf("not tried, because of the rate limit: %d bytes are sent at most", most)
	default:
		switch err := p.ping(ctx, domain, most); {
		case err == nil:
			st.Note = fmt.Sprintf("takes the %d bytes that are sent at most", most)
		case p.l.Context().Err() != nil:
			st.OK, st.Fix = false, advice
			st.Note = fmt.Sprintf("the server ends the connection over a stanza of %d bytes, and does not say how long one may be: each message of that kind would cost a new login", most)
		default:
			st.OK, st.Fix = false, "look at what stands between this machine and the server of CHATRELAY_XMPP_ADDR"
			st.Note = fmt.Sprintf("a stanza of %d bytes is not answered (%v)", most, err)
		}
	}
	return st
}

const aroundBody = 4 << 10 // of a stanza, around its body
