package clients

import (
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"time"
)

// archived is a page's item or end, by full names.
type archived struct {
	Result *struct {
		ID      string `xml:"id,attr"`
		Message struct {
			From string `xml:"from,attr"`
			Type string `xml:"type,attr"`
			element
		} `xml:"forwarded>message"`
	} `xml:"urn:xmpp:mam:2 result"`
	Fin *struct {
		Complete string `xml:"complete,attr"`
		Last     string `xml:"http://jabber.org/protocol/rsm set>last"`
	} `xml:"urn:xmpp:mam:2 fin"`
}

// aside logs in on a connection of its own, without presence.
func aside(ctx context.Context, cfg XMPPConfig) (net.Conn, *xml.Decoder, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, nil, err
	}
	cfg.Resource = "archive"
	dec, err := (&XMPP{cfg: cfg}).login(conn)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(2 * dialTimeout))
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, dec, nil
}

// Prefer sets what a user's archive keeps (XEP-0441): the inside of a prefs element, with its attribute.
func Prefer(ctx context.Context, cfg XMPPConfig, standard, inside string) error {
	conn, dec, err := aside(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	say := fmt.Sprintf("<iq type='set' id='prefs'><prefs xmlns='urn:xmpp:mam:2' default='%s'>%s</prefs></iq>", standard, inside)
	if err := ask(conn, dec, say, "iq"); err != nil {
		return fmt.Errorf("clients: preferences of %s: %w", cfg.User, err)
	}
	_, err = fmt.Fprint(conn, "</stream:stream>")
	return err
}

// Archive reads all that a user's archive has (XEP-0313), oldest first, on a connection of its own.
func Archive(ctx context.Context, cfg XMPPConfig) ([]Stanza, error) {
	conn, dec, err := aside(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var out []Stanza
	for after := ""; ; {
		if err := conn.SetDeadline(time.Now().Add(2 * dialTimeout)); err != nil {
			return nil, err
		}
		page, last, complete, err := archivePage(conn, dec, after)
		if err != nil {
			return nil, fmt.Errorf("clients: archive of %s: %w", cfg.User, err)
		}
		if out = append(out, page...); complete || last == "" {
			return out, nil
		}
		after = last
	}
}

func archivePage(conn net.Conn, dec *xml.Decoder, after string) (page []Stanza, last string, complete bool, err error) {
	if after != "" {
		after = "<after>" + Escape(after) + "</after>"
	}
	_, err = fmt.Fprintf(conn, "<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>200</max>%s</set></query></iq>", after)
	if err != nil {
		return nil, "", false, err
	}
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil, "", false, err
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		var e archived
		if err := dec.DecodeElement(&e, &start); err != nil {
			return nil, "", false, err
		}
		switch {
		case e.Result != nil && len(e.Result.Message.Bodies) > 0:
			m := e.Result.Message
			page = append(page, Stanza{Name: "message", From: m.From, Type: m.Type, HasBody: true, Body: m.Bodies[0].Text, Archived: e.Result.ID})
		case e.Fin != nil:
			return page, e.Fin.Last, e.Fin.Complete == "true" || e.Fin.Complete == "1", nil
		case start.Name.Local == "iq":
			return nil, "", false, fmt.Errorf("no archive: %v", start.Attr)
		}
	}
}
