package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Topic is where the relay says whether it is there; empty: nowhere.
func (m *MQTT) Topic() string {
	switch m.StatusTopic {
	case "":
		return "chatrelay/" + m.ClientID + "/status"
	case "off":
		return ""
	}
	return m.StatusTopic
}

// Level is the version for the side: 5, 3, or 0 for the best that the broker knows.
func (m *MQTT) Level() byte {
	switch m.Version {
	case "5":
		return 5
	case "3.1.1":
		return 3
	}
	return 0
}

func (m *MQTT) check() (out Problems) {
	secure := out.brokers(m.URLs)
	out.secret("MQTT_PASSWORD", m.Password, m.PasswordFile)
	// MQTT-3.1.2-22
	out.say(m.Secret() != nil && m.Username == "", "MQTT_PASSWORD", "is set without a user name", "set CHATRELAY_MQTT_USERNAME too")
	out.say(strings.ContainsFunc(m.ClientID, unicode.IsControl) || !utf8.ValidString(m.ClientID) || len(m.ClientID) > longestClient,
		"MQTT_CLIENT_ID", "is "+quoted(m.ClientID), fmt.Sprintf("write at most %d bytes without control characters", longestClient))
	out.say(m.QoS == 0, "MQTT_QOS", "is 0", "write 2 or 1: at 0 nothing is ever confirmed, so messages would be lost")
	out.say(m.QoS < 0 || m.QoS > 2, "MQTT_QOS", fmt.Sprintf("is %d", m.QoS), "write 2 or 1")
	out.oneOf("MQTT_VERSION", m.Version, "auto", "5", "3.1.1")
	out.say(m.SessionExpiry < time.Minute, "MQTT_SESSION_EXPIRY", "is "+m.SessionExpiry.String(),
		"write a time longer than any outage: what waits at the broker goes with the session")
	out.readable(m)
	out.topics(m)
	out.presence(m)
	out.certificates(m, secure)
	return out
}

// brokers tells whether any of the addresses uses TLS. A broken one is not shown: it may hold a password.
func (p *Problems) brokers(urls []BrokerURL) (secure bool) {
	const remedy = "write tcp, ssl, ws or wss, then ://host:port"
	p.say(len(urls) == 0, "MQTT_URL", "is empty", remedy)
	for i, text := range urls {
		urls[i] = BrokerURL(strings.TrimSpace(string(text)))
		u, err := url.Parse(string(urls[i]))
		if better := bracketed(string(urls[i])); better != "" {
			p.say(true, "MQTT_URL", fmt.Sprintf("has an IPv6 address without brackets in place %d", i+1), "write "+better)
			continue
		}
		if err != nil {
			p.say(true, "MQTT_URL", fmt.Sprintf("has no URL in place %d", i+1), remedy)
			continue
		}
		plain := slices.Contains([]string{"tcp", "mqtt", "ws"}, u.Scheme)
		tls := slices.Contains([]string{"ssl", "tls", "mqtts", "wss"}, u.Scheme)
		secure = secure || tls
		p.say(!plain && !tls, "MQTT_URL", fmt.Sprintf("has no scheme that is known in place %d", i+1), remedy)
		p.say((plain || tls) && u.Hostname() == "", "MQTT_URL", fmt.Sprintf("names no host in place %d", i+1), remedy)
	}
	return secure
}

// bracketed is an address with brackets around its IPv6 host, where they are missing (RFC 3986 §3.2.2), without login and
// path; else empty.
func bracketed(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	if !ok || strings.Count(host, ":") < 2 || strings.ContainsAny(host, "[]") {
		return ""
	}
	if at := strings.LastIndexByte(host, ':'); at > 0 { // the last part is rather a port than one more group
		if ip, err := netip.ParseAddr(host[:at]); err == nil && ip.Is6() {
			return scheme + "://[" + host[:at] + "]:" + host[at+1:]
		}
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return scheme + "://[" + host + "]"
	}
	return ""
}

// readable keeps logins off the wire. Names are not looked up: what they mean could change.
func (p *Problems) readable(m *MQTT) {
	for i, text := range m.URLs {
		u, err := url.Parse(string(text))
		if err != nil || !slices.Contains([]string{"tcp", "mqtt", "ws"}, u.Scheme) || u.Hostname() == "" {
			continue // encrypted, or reported above
		}
		login := m.Username != "" || u.User != nil
		p.say(login && !m.TLSInsecure && !loopback(u.Hostname()), "MQTT_URL",
			fmt.Sprintf("has no TLS in place %d, and the broker is not on loopback", i+1),
			"write ssl or wss (or CHATRELAY_MQTT_TLS_INSECURE=true, if anybody on the way may read the password and all messages)")
	}
}

func (p *Problems) topics(m *MQTT) {
	const plain = "write a topic without + and #, such as /chat"
	switch {
	case badTopic(m.Prefix):
		p.say(true, "TOPIC_PREFIX", "is "+quoted(m.Prefix), plain)
	case strings.HasSuffix(m.Prefix, "/"):
		p.say(true, "TOPIC_PREFIX", "ends in /", "leave it out: the inbox of 1001 is <prefix>/1001")
	case strings.HasPrefix(m.Prefix, "$"):
		p.say(true, "TOPIC_PREFIX", "begins with $", "choose another: such topics are the broker's own")
	}
	status := m.Topic()
	p.say(status != "" && (badTopic(status) || strings.HasPrefix(status, "$")), "STATUS_TOPIC", "would be "+quoted(status),
		"write a topic without + and #, not below $, or off")
	p.say(strings.HasPrefix(status, m.Prefix+"/"), "STATUS_TOPIC", "lies among the inboxes below "+m.Prefix+"/", "choose another topic, or off")
}

// presence wants a filter that takes in one topic of each landline, and none of the relay's own.
func (p *Problems) presence(m *MQTT) {
	const remedy = "write the topic on which a device says whether it is there, with + for the landline, such as /chat/+/status"
	if m.Presence == "" {
		return
	}
	plus := 0
	for level := range strings.SplitSeq(m.Presence, "/") {
		if level == "+" {
			plus++
		}
	}
	switch {
	case plus != 1 || strings.Count(m.Presence, "+") != 1 || badTopic(strings.Replace(m.Presence, "+", "x", 1)) || strings.HasPrefix(m.Presence, "$"):
		p.say(true, "MQTT_PRESENCE", "is "+quoted(m.Presence)+", which does not name one topic for each landline", remedy)
	case overlap(m.Presence, m.Prefix+"/+"):
		p.say(true, "MQTT_PRESENCE", "is "+quoted(m.Presence)+", which takes in inboxes", remedy)
	case m.Topic() != "" && overlap(m.Presence, m.Topic()):
		p.say(true, "MQTT_PRESENCE", "is "+quoted(m.Presence)+", which takes in the relay's own status topic", "choose another topic, or another CHATRELAY_STATUS_TOPIC")
	}
}

// overlap tells whether a topic may be of two filters whose only wildcard is +.
func overlap(a, b string) bool {
	return slices.EqualFunc(strings.Split(a, "/"), strings.Split(b, "/"), func(a, b string) bool { return a == b || a == "+" || b == "+" })
}

// badTopic tells what may not be published to (MQTT-3.3.2-2, MQTT-1.5.3).
func badTopic(t string) bool {
	return t == "" || len(t) > longestTopic || strings.ContainsAny(t, "+#") || strings.ContainsFunc(t, unicode.IsControl) || !utf8.ValidString(t)
}

func (p *Problems) certificates(m *MQTT, secure bool) {
	const remedy = "use ssl or wss in CHATRELAY_MQTT_URL, or leave the file out"
	p.say(m.CAFile != "" && !secure, "MQTT_CA_FILE", "is set, but no broker is reached over TLS", remedy)
	p.say(m.CertFile != "" && !secure, "MQTT_CERT_FILE", "is set, but no broker is reached over TLS", remedy)
	p.say(m.CertFile != "" && m.KeyFile == "", "MQTT_KEY_FILE", "is missing", "set it to the key of CHATRELAY_MQTT_CERT_FILE")
	p.say(m.CertFile == "" && m.KeyFile != "", "MQTT_CERT_FILE", "is missing", "set it to the certificate that CHATRELAY_MQTT_KEY_FILE belongs to")
}
