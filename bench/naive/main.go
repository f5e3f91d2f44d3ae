// Command naive is what most people would write first: paho and mellium, each message passed on as it comes, acknowledged by the
// library, and nothing written down. It loses, doubles and reorders at every fault; `make bench` measures what the relay's promise
// costs beside it. It takes its settings from NAIVE_…, writes "ready", and runs until it is killed.
package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"strings"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
)

const bridgeBit = 0x80 // Mosquitto then keeps back what we have published ourselves

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "naive:", err)
		os.Exit(1)
	}
}

func run() error {
	me, err := jid.Parse(os.Getenv("NAIVE_JID"))
	if err != nil {
		return err
	}
	sess, err := login(me)
	if err != nil {
		return err
	}
	prefix := os.Getenv("NAIVE_PREFIX")
	o := mqtt.NewClientOptions().AddBroker(os.Getenv("NAIVE_MQTT_URL")).SetClientID("naive").SetCleanSession(false).SetProtocolVersion(4 | bridgeBit)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { toXMPP(sess, me.Domainpart(), m.Payload()) })
	client := mqtt.NewClient(o)
	if t := client.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	if t := client.Subscribe(prefix+"+", 2, nil); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	if err := sess.Send(context.Background(), stanza.Presence{}.Wrap(nil)); err != nil {
		return err
	}
	fmt.Println("ready")
	return sess.Serve(xmpp.HandlerFunc(func(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
		return toMQTT(client, prefix, t, start)
	}))
}

// login opens a session without TLS, as the relay has in this measurement.
func login(me jid.JID) (*xmpp.Session, error) {
	nc, err := net.Dial("tcp", os.Getenv("NAIVE_XMPP_ADDR"))
	if err != nil {
		return nil, err
	}
	return xmpp.NewSession(context.Background(), me.Domain(), me, nc, xmpp.Secure,
		xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
			return xmpp.StreamConfig{Features: []xmpp.StreamFeature{xmpp.SASL("", os.Getenv("NAIVE_PASSWORD"), sasl.ScramSha1), xmpp.BindResource()}}
		}))
}

// envelope is what has to be known of a message.
type envelope struct{ From, To string }

// toXMPP sends a payload to whom it is for.
func toXMPP(sess *xmpp.Session, domain string, payload []byte) {
	var e envelope
	if json.Unmarshal(payload, &e) != nil || e.To == "" {
		return
	}
	to, err := jid.New(e.To, domain, "")
	if err != nil {
		return
	}
	body := xmlstream.Wrap(xmlstream.Token(xml.CharData(payload)), xml.StartElement{Name: xml.Name{Local: "body"}})
	if err := sess.Send(context.Background(), stanza.Message{To: to, Type: stanza.ChatMessage}.Wrap(body)); err != nil {
		fmt.Fprintln(os.Stderr, "naive:", err)
	}
}

// toMQTT publishes a message that is what its sender says. Everything else is left.
func toMQTT(client mqtt.Client, prefix string, t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	if start.Name.Local != "message" {
		return nil
	}
	var m struct {
		From string `xml:"from,attr"`
		Body string `xml:"body"`
	}
	d := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), t))
	if err := d.Decode(&m); err != nil {
		return err
	}
	var e envelope
	who, _, _ := strings.Cut(m.From, "@")
	if json.Unmarshal([]byte(m.Body), &e) != nil || e.To == "" || e.From != who {
		return nil
	}
	client.Publish(prefix+e.To, 2, false, m.Body)
	return nil
}
