package xmppside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"chatrelay/bridge"
)

// resolver is what is asked of the DNS.
type resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// checkDNS tells where the server is said to be, and whether those hosts have addresses.
func checkDNS(ctx context.Context, r resolver, cfg *Config, domain string) bridge.Step {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	st := bridge.Step{Name: "xmpp DNS", OK: true, Note: "CHATRELAY_XMPP_ADDR names the server"}
	if cfg.Addr == "" {
		st = checkSRV(ctx, r, cfg.TLS, domain)
	}
	var missing []string
	for _, address := range targets(ctx, r, cfg, domain) {
		host, _, _ := net.SplitHostPort(address) // configs has looked at the one, and the others are made with a port
		if _, err := r.LookupHost(ctx, host); err != nil {
			missing = append(missing, host)
		}
	}
	if len(missing) > 0 {
		st.OK, st.Fix = false, "correct the DNS, or set CHATRELAY_XMPP_ADDR to where the server is"
		if cfg.Addr == "" {
			st.Fix = "correct the SRV records of the domain in CHATRELAY_XMPP_JID, or set CHATRELAY_XMPP_ADDR"
		}
		st.Note += "; no address is found of " + strings.Join(missing, ", ")
	}
	return st
}

// checkSRV reads the records by which the server is found (RFC 6120 §3.2, XEP-0368).
func checkSRV(ctx context.Context, r resolver, mode, domain string) bridge.Step {
	st := bridge.Step{Name: "xmpp DNS", OK: true}
	ours, other, otherMode := "xmpp-client", "xmpps-client", tlsDirect
	if mode == tlsDirect {
		ours, other, otherMode = other, ours, tlsStart
	}
	_, records, err := r.LookupSRV(ctx, ours, "tcp", domain)
	name := fmt.Sprintf("_%s._tcp.%s", ours, domain)
	set := "or set CHATRELAY_XMPP_ADDR to where the server is"
	switch {
	case len(records) == 1 && records[0].Target == ".": // RFC 2782
		st.OK, st.Note = false, name+" says that there is no such server; the domain itself is tried"
		st.Fix = "correct that record, " + set
	case len(records) > 0:
		st.Note = name + ": " + strings.Join(targetsOf(records), ", ")
	case !notFound(err):
		st.OK, st.Note = false, "no answer about "+name+"; the domain itself is tried"
		st.Fix = "correct the name servers of this machine, " + set
	default:
		st.Note = "no record " + name + ": the domain itself is tried"
		if _, records, _ := r.LookupSRV(ctx, other, "tcp", domain); len(records) > 0 && records[0].Target != "." {
			st.OK, st.Fix = false, fmt.Sprintf("there is one for %s: set CHATRELAY_XMPP_TLS=%s", other, otherMode)
		}
	}
	return st
}

// notFound: the DNS has answered that there is none.
func notFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return err == nil || ok && e.IsNotFound
}
