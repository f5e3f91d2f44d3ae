package xmppside

import (
	"encoding/xml"
	"time"

	"chatrelay/xmppside/stanza"
)

// Namespaces of what contacts are asked.
const (
	nsItems = "http://jabber.org/protocol/disco#items"
	nsVCard = "vcard-temp"
	nsLast  = "jabber:iq:last"
)

// contactKnown is the answer to what a contact, or the component itself, is asked; false: none of these. The name of a landline is for
// who may see it.
func (k *contacts) contactKnown(e *stanza.Element) (payload string, ok bool) {
	landline, ok := k.addr.addressee(e.Get("to")) // empty: the component itself
	if !ok || e.Get("type") != "get" || len(e.Kids) != 1 {
		return "", false
	}
	name := landline
	if k.maySee(stanza.Bare(e.Get("from"))) {
		name = k.nameOf(landline)
	}
	switch e.Kids[0].Name {
	case xml.Name{Space: stanza.NSDisco, Local: "query"}:
		return info(landline, name), e.Kids[0].Get("node") == ""
	case xml.Name{Space: nsItems, Local: "query"}:
		return "<query xmlns='" + nsItems + "'/>", true // landlines are not listed: nobody has asked them
	case xml.Name{Space: nsVCard, Local: "vCard"}: // XEP-0054
		if landline == "" {
			return "", false
		}
		name := string(stanza.AppendText(nil, []byte(name)))
		return "<vCard xmlns='" + nsVCard + "'><FN>" + name + "</FN><NICKNAME>" + name + "</NICKNAME></vCard>", true
	case xml.Name{Space: nsLast, Local: "query"}: // XEP-0012: of somebody who is there
		return "<query xmlns='" + nsLast + "' seconds='0'/>", true
	case xml.Name{Space: stanza.NSTime, Local: "time"}: // XEP-0202
		return "<time xmlns='" + stanza.NSTime + "'><tzo>+00:00</tzo><utc>" + time.Now().UTC().Format(time.RFC3339) + "</utc></time>", true
	}
	return "", false
}

// info says what somebody is and can do (XEP-0030).
func info(landline, name string) string {
	identity := "<identity category='component' type='generic' name='" + softwareName + "'/>"
	features := []string{stanza.NSDisco, nsItems, stanza.NSPing, stanza.NSVersion, nsLast, stanza.NSTime}
	if landline != "" {
		b := stanza.AppendAttr([]byte("<identity category='client' type='phone'"), "name", name)
		identity = string(append(b, "/>"...))
		features = append(features, nsVCard, stanza.NSReceipts, stanza.NSStates, stanza.NSMarkers, stanza.NSOOB, stanza.NSCorrect, stanza.NSRetract, stanza.NSReply, stanza.NSFallback, stanza.NSJSON)
	}
	out := "<query xmlns='" + stanza.NSDisco + "'>" + identity
	for _, f := range features {
		out += "<feature var='" + f + "'/>"
	}
	return out + "</query>"
}
