package xmppside

import (
	"encoding/xml"

	"mellium.im/xmlstream"
)

const softwareName = "chatrelay" // XEP-0092

// iq answers what others ask and takes the answers to what we asked. Everything is answered here, so that
// mellium does not: it would end the stream over an address that it cannot parse.
func (k *line) iq(t xmlstream.TokenReadEncoder, e *element, version string) {
	switch e.get("type") {
	case "result", "error":
		k.answered(e)
		return
	case "get", "set":
	default:
		return
	}
	head := xml.StartElement{Name: xml.Name{Local: "iq"}, Attr: []xml.Attr{
		{Name: xml.Name{Local: "type"}, Value: "result"}, {Name: xml.Name{Local: "id"}, Value: e.get("id")}}}
	if from := e.get("from"); from != "" {
		head.Attr = append(head.Attr, xml.Attr{Name: xml.Name{Local: "to"}, Value: from})
	}
	payload, ok := known(e, version)
	if !ok {
		head.Attr[0].Value = "error"
		payload = unavailable()
	}
	_, _ = xmlstream.Copy(t, xmlstream.Wrap(payload, head)) // fails with the connection only
}

// known is the answer to the questions we understand; false: none of these.
func known(e *element, version string) (payload xml.TokenReader, ok bool) {
	if e.get("type") != "get" || len(e.kids) != 1 {
		return nil, false
	}
	q := e.kids[0].name
	switch {
	case q == xml.Name{Space: nsPing, Local: "ping"}:
		return nil, true
	case q == xml.Name{Space: nsVersion, Local: "query"}:
		return xmlstream.Wrap(xmlstream.MultiReader(textElement("name", softwareName), textElement("version", version)),
			xml.StartElement{Name: q}), true
	case q == xml.Name{Space: nsDisco, Local: "query"} && e.kids[0].get("node") == "":
		return xmlstream.Wrap(xmlstream.MultiReader(
			attrElement("identity", "category", "client", "type", "bot", "name", softwareName),
			attrElement("feature", "var", nsDisco), attrElement("feature", "var", nsPing),
			attrElement("feature", "var", nsVersion), attrElement("feature", "var", nsReceipts)),
			xml.StartElement{Name: q}), true
	}
	return nil, false
}

func unavailable() xml.TokenReader {
	return xmlstream.Wrap(
		xmlstream.Wrap(nil, xml.StartElement{Name: xml.Name{Space: nsStanzas, Local: "service-unavailable"}}),
		xml.StartElement{Name: xml.Name{Local: "error"}, Attr: []xml.Attr{{Name: xml.Name{Local: "type"}, Value: "cancel"}}})
}

func textElement(name, text string) xml.TokenReader {
	return xmlstream.Wrap(xmlstream.Token(xml.CharData(text)), xml.StartElement{Name: xml.Name{Local: name}})
}

// attrElement is an empty element; pairs are names and values.
func attrElement(name string, pairs ...string) xml.TokenReader {
	start := xml.StartElement{Name: xml.Name{Local: name}}
	for i := 0; i+1 < len(pairs); i += 2 {
		start.Attr = append(start.Attr, xml.Attr{Name: xml.Name{Local: pairs[i]}, Value: pairs[i+1]})
	}
	return xmlstream.Wrap(nil, start)
}
