package clients

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// XMPPConfig is one XMPP client, logged in with presence.
type XMPPConfig struct {
	Addr, Domain             string
	User, Password, Resource string
	Rooms                    []string // bare JIDs to sit in, as User
	Quiet                    bool     // no presence: it sends, and hears only answers to its own address
	SM                       bool     // XEP-0198, see Deliver; only together with Quiet
	// OnStanza gets each message, and each IQ and presence that is an error, in order, from one
	// goroutine. It may send.
	OnStanza func(Stanza)
	// OnOther gets presence and the answers to questions, with what is in them; nil: nobody wants them.
	OnOther func(s Stanza, inner string)
}

// Stanza is what came, addressing read from attributes without a namespace only.
type Stanza struct {
	Name               string // message, iq, presence
	From, To, Type, ID string
	Body               string // of the first plain body
	HasBody, Delayed   bool
	Received           string // id named by a receipt (XEP-0184)
	Displayed          string // id named by a marker (XEP-0333)
	Composing          bool   // XEP-0085
	Condition, Text    string // of an error
	Archived           string // id in the inbox's archive (XEP-0359)
}

// ErrOffline: the client has no login at the moment.
var ErrOffline = errors.New("clients: xmpp: not logged in")

// XMPP is a client that logs in again after a lost connection. Without SM what is written while a
// connection dies may be lost, as with any simple client.
type XMPP struct {
	cfg  XMPPConfig
	end  context.CancelFunc
	done chan struct{}

	mu     sync.Mutex // guards all below
	conn   net.Conn
	up     chan struct{} // closed while logged in, made anew when down
	logins int
	rooms  map[string]bool // joined on this login
	sm     managed
}

// DialXMPP starts a client and waits until it is logged in and in its rooms.
func DialXMPP(ctx context.Context, cfg XMPPConfig) (*XMPP, error) {
	if cfg.Resource == "" {
		cfg.Resource = "test"
	}
	ctx, end := context.WithCancel(context.Background())
	c := &XMPP{cfg: cfg, end: end, done: make(chan struct{}), up: make(chan struct{})}
	go func() { defer close(c.done); keep(ctx, c.live) }() // Close waits for it
	if err := c.Ready(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("clients: xmpp %s: %w", cfg.User, err)
	}
	return c, nil
}

// Ready waits until the client is logged in and in its rooms.
func (c *XMPP) Ready(ctx context.Context) error {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Logins is how often it has logged in.
func (c *XMPP) Logins() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logins
}

// Close logs out.
func (c *XMPP) Close() {
	c.end()
	c.mu.Lock()
	_ = c.write("</stream:stream>") // a courtesy
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.mu.Unlock()
	<-c.done
}

// Send writes a message with a body. typ is chat or groupchat; id may be empty.
func (c *XMPP) Send(to, typ, id, body string) error {
	head := fmt.Sprintf("<message to='%s' type='%s'", Escape(to), typ)
	if id != "" {
		head += fmt.Sprintf(" id='%s'", Escape(id))
	}
	return c.Raw(head + "><body>" + Escape(body) + "</body></message>")
}

// Raw writes bytes as they are, once logged in.
func (c *XMPP) Raw(stanza string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.up:
	default:
		return ErrOffline
	}
	if c.cfg.SM {
		return c.writeCounted(counted{raw: stanza})
	}
	return c.write(stanza)
}

// write needs the lock.
func (c *XMPP) write(s string) error {
	if c.conn == nil {
		return ErrOffline
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write([]byte(s))
	if err != nil {
		_ = c.conn.Close() // half a stanza may be out
	}
	return err
}

// Escape writes text for XML: only what must be written otherwise.
func Escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", "\r", "&#13;").Replace(s)
}

// live is one login.
func (c *XMPP) live(ctx context.Context) error {
	d := net.Dialer{Timeout: synTimeout}
	conn, err := d.DialContext(ctx, "tcp", c.cfg.Addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now().Add(time.Second)) })
	defer stop()
	defer c.down(conn)
	dec, err := c.login(conn)
	if err != nil {
		return err
	}
	if c.cfg.SM {
		if err := enable(conn, dec); err != nil {
			return err
		}
	}
	err = c.begin(conn)
	if ctx.Err() != nil { // Close did not see this connection, and the login has lifted the deadline
		return ctx.Err()
	}
	for err == nil {
		err = c.next(dec)
	}
	return err
}

// begin says what a new login has to say first.
func (c *XMPP) begin(conn net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.rooms = conn, map[string]bool{}
	c.logins++
	var err error
	switch {
	case c.cfg.SM:
		err = c.repeat()
	case !c.cfg.Quiet:
		err = c.write("<presence/>" + c.joins())
	}
	if err == nil && len(c.cfg.Rooms) == 0 {
		close(c.up)
	}
	return err
}

func (c *XMPP) joins() string {
	out := ""
	for _, room := range c.cfg.Rooms {
		out += fmt.Sprintf("<presence to='%s/%s'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>",
			Escape(room), Escape(c.cfg.User))
	}
	return out
}

func (c *XMPP) down(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = conn.Close() // may be closed already
	c.conn = nil
	select {
	case <-c.up:
		c.up = make(chan struct{})
	default:
	}
}

// login opens the stream, authenticates and binds (RFC 6120 §6, §7).
func (c *XMPP) login(conn net.Conn) (*xml.Decoder, error) {
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	dec, err := c.open(conn)
	if err != nil {
		return nil, err
	}
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + c.cfg.User + "\x00" + c.cfg.Password))
	if err := ask(conn, dec, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+secret+"</auth>", "success"); err != nil {
		return nil, err
	}
	if dec, err = c.open(conn); err != nil {
		return nil, err
	}
	bind := "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + Escape(c.cfg.Resource) + "</resource></bind></iq>"
	if err := ask(conn, dec, bind, "iq"); err != nil {
		return nil, err
	}
	return dec, conn.SetDeadline(time.Time{})
}

func (c *XMPP) open(conn net.Conn) (*xml.Decoder, error) {
	_, err := fmt.Fprintf(conn, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", c.cfg.Domain)
	if err != nil {
		return nil, err
	}
	dec := xml.NewDecoder(conn)
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Local == "stream" {
			break
		}
	}
	return dec, ask(conn, dec, "", "features")
}

// ask writes and wants an element of that name in return.
func ask(conn net.Conn, dec *xml.Decoder, say, want string) error {
	if _, err := conn.Write([]byte(say)); err != nil {
		return err
	}
	for {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if err := dec.Skip(); err != nil {
			return err
		}
		if start.Name.Local != want {
			return fmt.Errorf("clients: xmpp: got <%s/>, want <%s/>", start.Name.Local, want)
		}
		return nil
	}
}

func (c *XMPP) next(dec *xml.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok := tok.(type) {
	case xml.EndElement:
		return errors.New("clients: xmpp: stream closed")
	case xml.StartElement:
		if tok.Name.Space == nsSM {
			return c.managed(dec, tok)
		}
		var e element
		if err := dec.DecodeElement(&e, &tok); err != nil {
			return err
		}
		if tok.Name.Local == "error" {
			return errors.New("clients: xmpp: stream error")
		}
		c.heard()
		c.handle(stanza(tok, e), e)
	}
	return nil
}

func (c *XMPP) handle(s Stanza, e element) {
	if c.cfg.OnOther != nil && (s.Name == "presence" || s.Name == "iq" && s.Type != "get") {
		c.cfg.OnOther(s, string(e.Inner))
	}
	switch {
	case s.Name == "iq" && s.Type == "get":
		answer := "<iq type='error' id='" + Escape(s.ID) + "' to='" + Escape(s.From) + "'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
		if e.Ping != nil {
			answer = "<iq type='result' id='" + Escape(s.ID) + "' to='" + Escape(s.From) + "'/>"
		}
		_ = c.Raw(answer) // a lost connection is seen by the reader
		return
	case s.Name == "presence" && s.Type == "":
		c.joined(s.From)
		return
	case s.Name != "message" && s.Type != "error":
		return
	}
	if c.cfg.OnStanza != nil {
		c.cfg.OnStanza(s)
	}
}

// joined notes own presence in a room (XEP-0045 §7.2.2: it comes last).
func (c *XMPP) joined(from string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, room := range c.cfg.Rooms {
		if from == room+"/"+c.cfg.User && !c.rooms[room] {
			c.rooms[room] = true
			if len(c.rooms) == len(c.cfg.Rooms) {
				close(c.up)
			}
		}
	}
}
