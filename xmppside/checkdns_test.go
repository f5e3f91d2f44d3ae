package xmppside

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// zone is a DNS: SRV records by name, and the hosts that have addresses.
type zone struct {
	srv   map[string][]*net.SRV
	hosts []string
	down  bool
}

func (z *zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	name = "_" + service + "._" + proto + "." + name
	switch found := z.srv[name]; {
	case z.down:
		return "", nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	case found == nil:
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	default:
		return name, found, nil
	}
}

func (z *zone) LookupHost(_ context.Context, host string) ([]string, error) {
	for _, h := range z.hosts {
		if h == host {
			return []string{"192.0.2.1"}, nil
		}
	}
	return nil, errors.New("no such host")
}

// TestCheckDNS: what the DNS says of a domain, and what mends it.
func TestCheckDNS(t *testing.T) {
	const client, secure = "_xmpp-client._tcp.chat.test", "_xmpps-client._tcp.chat.test"
	at := func(host string, port uint16) *net.SRV { return &net.SRV{Target: host + ".", Port: port} }
	both := []*net.SRV{at("a.chat.test", 5222), at("b.chat.test", 5223)}
	for name, tc := range map[string]struct {
		zone      zone
		addr, tls string
		ok        bool
		says      string
		targets   []string
	}{
		"two servers":       {zone{srv: map[string][]*net.SRV{client: both}, hosts: []string{"a.chat.test", "b.chat.test"}}, "", tlsStart, true, "a.chat.test:5222, b.chat.test:5223", []string{"a.chat.test:5222", "b.chat.test:5223"}},
		"one is not there":  {zone{srv: map[string][]*net.SRV{client: both}, hosts: []string{"b.chat.test"}}, "", tlsStart, false, "no address is found of a.chat.test: correct the SRV records of the domain in CHATRELAY_XMPP_JID", []string{"a.chat.test:5222", "b.chat.test:5223"}},
		"none":              {zone{hosts: []string{"chat.test"}}, "", tlsStart, true, "no record " + client, []string{"chat.test:5222"}},
		"none, direct":      {zone{hosts: []string{"chat.test"}}, "", tlsDirect, true, "no record " + secure, []string{"chat.test:5223"}},
		"nothing at all":    {zone{}, "", tlsStart, false, "no address is found of chat.test", []string{"chat.test:5222"}},
		"the other mode":    {zone{srv: map[string][]*net.SRV{secure: both}, hosts: []string{"chat.test"}}, "", tlsStart, false, "CHATRELAY_XMPP_TLS=direct", []string{"chat.test:5222"}},
		"direct, the other": {zone{srv: map[string][]*net.SRV{client: both}, hosts: []string{"chat.test"}}, "", tlsDirect, false, "CHATRELAY_XMPP_TLS=starttls", []string{"chat.test:5223"}},
		"decidedly not":     {zone{srv: map[string][]*net.SRV{client: {at("", 0)}}, hosts: []string{"chat.test"}}, "", tlsStart, false, "says that there is no such server", []string{"chat.test:5222"}},
		"no answer":         {zone{down: true, hosts: []string{"chat.test"}}, "", tlsStart, false, "correct the name servers of this machine", []string{"chat.test:5222"}},
		"an address":        {zone{hosts: []string{"a"}}, "a:1", tlsStart, true, "CHATRELAY_XMPP_ADDR names the server", []string{"a:1"}},
		"an unknown one":    {zone{}, "a:1", tlsStart, false, "no address is found of a: correct the DNS, or set CHATRELAY_XMPP_ADDR", []string{"a:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Addr: tc.addr, TLS: tc.tls}
			st := checkDNS(t.Context(), &tc.zone, &cfg, "chat.test")
			if st.OK != tc.ok || st.Fatal || !strings.Contains(st.Text(), tc.says) || !st.OK && !strings.Contains(st.Fix, "CHATRELAY_XMPP_") {
				t.Errorf("%+v", st)
			}
			if diff := cmp.Diff(tc.targets, targets(t.Context(), &tc.zone, &cfg, "chat.test")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
