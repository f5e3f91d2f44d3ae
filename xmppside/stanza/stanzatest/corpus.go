package stanzatest

// OwnJID is whose messages they are.
const OwnJID = "receiver@chat.test"

// Plain are messages that a scanner reads, as servers of today send them and a little beyond. Their receiver is OwnJID.
var Plain = map[string]string{
	"Prosody": "<message type='chat' from='1001@chat.test/aBc-12' id='7' xml:lang='en' to='receiver@chat.test'>" +
		"<body>{&quot;content&quot;:&quot;it&apos;s &lt;b&gt; &amp;amp; €😀&quot;,\n&quot;to&quot;:&quot;1002&quot;}</body>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='receiver@chat.test' id='JqUVnB9dEKbeFZ1Q'/></message>",
	"ejabberd": "<message xml:lang='en' to='receiver@chat.test' from='1001@chat.test/23' type='chat' id=\"x'y\"><archived xmlns='urn:xmpp:mam:tmp' by='receiver@chat.test' id='1'/>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='receiver@chat.test' id='1'/><body>{}</body></message>",
	"in a room": "<message type='groupchat' to='receiver@chat.test/chatrelay' from='room@conference.chat.test/Ann &amp; Bob' id='1'>" +
		"<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' jid='1001@chat.test/a'/></x>" +
		"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/><origin-id xmlns='urn:xmpp:sid:0' id='o'/><body>{}</body></message>",
	"stored": "<message from='1001@chat.test/a' type='chat'><body>a</body><delay xmlns='urn:xmpp:delay' from='chat.test' stamp='2026-01-01T00:00:00Z'>Offline Storage</delay></message>",
	"of a client": "<message from='1001@chat.test/a' type='chat'><body>a</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>" +
		"<active xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread><nick xmlns='http://jabber.org/protocol/nick'>n</nick></message>",
	"of our own account": "<message from='receiver@chat.test' type='chat'><body>a</body></message>",
	"of our own session": "<message from='receiver@chat.test/chatrelay' type='chat'><body>a</body></message>",
	"in capitals": "<message type='groupchat' to='Receiver@CHAT.test/A' from='Room@conference.chat.test/Ann' id='A'>" +
		"<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' jid='ANNA@Chat.test/B/C'/></x><body>A</body></message>",
	"two senders":          "<message from='1001@chat.test/a' from='1002@chat.test/a' type='chat'><body>a</body></message>",
	"two bodies":           "<message from='1001@chat.test/a' type='chat'><body>a</body><body xml:lang='de'>b</body></message>",
	"body in the body":     "<message type='chat'><body>pay <body>not</body> now<body/></body></message>",
	"body of another":      "<message type='chat'><body xmlns='urn:xmpp:hints'>a<thread/></body></message>",
	"text around":          "<message type='chat'>a<body>b</body>c<body/>\n\t</message>",
	"own namespace":        "<message xmlns='jabber:client' type='chat'><body>a</body></message>",
	"numbers":              "<message type='chat'><body>&#65;&#x42;&#x1F600;&#13;\n&#xd;&#9;]]&gt;</body></message>",
	"numbers in an id":     "<message type='chat' id='&#10;&#x27;&gt;]]>'><body>\u00a0\u0085\u007f\ufffd</body></message>",
	"empty body":           "<message type='chat'><body/></message>",
	"angle bracket":        "<message type='chat'><body>a > b ]] ></body></message>",
	"nothing but a thread": "<message type='chat'><thread>t</thread></message>",
}

// Other is the decoder's, whatever it makes of it.
var Other = map[string]string{
	"iq": "<iq type='chat'/>", "presence": "<presence type='chat'></presence>", "r": "<r xmlns='urn:xmpp:sm:3'/>", "end": "</stream:stream>",
	"stream error": "<stream:error/>", "another name": "<messages type='chat'></messages>", "keepalive": " ",
	"error":                "<message type='error'><body>a</body></message>",
	"headline":             "<message type='headline'><body>a</body></message>",
	"no type":              "<message from='1001@chat.test/a'><body>a</body></message>",
	"normal":               "<message type='normal'><body>a</body></message>",
	"type of another name": "<message xml:type='chat'><body>a</body></message>",
	"no children":          "<message type='chat'/>",
	"another namespace":    "<message xmlns='jabber:server' type='chat'><body>a</body></message>",
	"unknown namespace":    "<message type='chat'><body xmlns='urn:b'>a</body></message>",
	"no namespace":         "<message type='chat'><body xmlns=''>a</body></message>",
	"namespace twice":      "<message type='chat'><body xmlns='urn:xmpp:hints' xmlns='jabber:client'>a</body></message>",
	"prefix":               "<message type='chat'><stream:body>a</stream:body></message>",
	"prefix declared":      "<message xmlns:a='jabber:client' type='chat'><body>a</body></message>",
	"prefix of an attr":    "<message stream:from='1002@chat.test' from='1001@chat.test/a' type='chat'><body>a</body></message>",
	"forwarded":            "<message type='chat'><forwarded xmlns='urn:xmpp:forward:0'><message type='chat'><body>a</body></message></forwarded></message>",
	"unknown child":        "<message type='chat'><body>a</body><b/></message>",
	"unknown attribute":    "<message type='chat' x='y'><body>a</body></message>",
	"CDATA":                "<message type='chat'><body><![CDATA[a]]></body></message>",
	"comment":              "<message type='chat'><body>a<!-- b --></body></message>",
	"instruction":          "<message type='chat'><body>a<?b c?></body></message>",
	"directive":            "<message type='chat'><!DOCTYPE x><body>a</body></message>",
	"directive with a tag": "<message type='chat'><!X <b></message>", // its end is another for the decoder than for sm
	"unknown reference":    "<message type='chat'><body>&nbsp;</body></message>",
	"no reference":         "<message type='chat'><body>a & b</body></message>",
	"half a reference":     "<message type='chat'><body>&amp</body></message>",
	"zero":                 "<message type='chat'><body>&#0;</body></message>",
	"no number":            "<message type='chat'><body>&#;&#x;</body></message>",
	"minus":                "<message type='chat'><body>&#-65;</body></message>",
	"capital x":            "<message type='chat'><body>&#X41;</body></message>",
	"surrogate":            "<message type='chat'><body>&#xD800;</body></message>",
	"too large":            "<message type='chat'><body>&#1114112;</body></message>",
	"many zeros":           "<message type='chat'><body>&#00000000065;</body></message>",
	"no character":         "<message type='chat'><body>&#xFFFE;</body></message>",
	"CR":                   "<message type='chat'><body>a\r\nb</body></message>",
	"CR in an id":          "<message type='chat' id='a\rb'><body>a</body></message>",
	"NUL":                  "<message type='chat'><body>a\x00</body></message>",
	"control":              "<message type='chat' id='\x1b'><body>a</body></message>",
	"bad UTF-8":            "<message type='chat'><body>a\xff</body></message>",
	"half a character":     "<message type='chat'><body>\xe2\x82&#65;</body></message>",
	"surrogate bytes":      "<message type='chat'><body>\xed\xa0\x80</body></message>",
	"U+FFFF":               "<message type='chat'><body>\uffff</body></message>",
	"end of CDATA":         "<message type='chat'><body>a]]>b</body></message>",
	"less in an id":        "<message type='chat' id='<'><body>a</body></message>",
	"no quotes":            "<message type=chat><body>a</body></message>",
	"blanks":               "<message  type='chat'><body>a</body></message>",
	"blank at the end":     "<message type='chat' ><body>a</body></message>",
	"blank in the end tag": "<message type='chat'><body>a</body ></message>",
	"blank before equals":  "<message type ='chat'><body>a</body></message>",
	"line feed":            "<message\ntype='chat'><body>a</body></message>",
	"no blank between":     "<message from='a'type='chat'><body>a</body></message>",
	"slash":                "<message type='chat'><body / ></message>",
	"wrong end":            "<message type='chat'><body>a</thread></message>",
	"wrong order":          "<message type='chat'><body>a</message></body>",
	"deep":                 "<message type='chat'><body><body><body><body>a</body></body></body></body></message>",
}
