package mqttside

import (
	"net"
	"sync"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// wipe makes a broker forget the session of a client id.
func wipe(tb testing.TB, url, id string) {
	tb.Helper()
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetCleanSession(true).SetProtocolVersion(4)
	c := mqtt.NewClient(o)
	finish(tb, c.Connect())
	c.Disconnect(250)
}

// fakeBroker answers packets as a test says: for what real brokers do seldom. Connections end with the test.
type fakeBroker struct {
	ln   net.Listener
	wg   sync.WaitGroup
	play func(n int, p packets.ControlPacket) (answers []packets.ControlPacket, hangUp bool)

	deaf bool // probes are not passed on
	// limit, if any: of a probe's length. Of those that are shorter than most the first length that comes is dropped, too,
	// until another one does (lapse).
	limit, most, lapse int

	mu     sync.Mutex // guards all below, and held around each write
	mute   bool       // none is passed on to a bridge, which is the relay
	severs bool       // a second login ends over every probe
	conns  []net.Conn
	plain  map[net.Conn]bool // logged in without the bridge bit
	beside map[net.Conn]bool // logged in with another client id than the relay's
}

func newFakeBroker(tb testing.TB, play func(n int, p packets.ControlPacket) ([]packets.ControlPacket, bool)) *fakeBroker {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f := &fakeBroker{ln: ln, play: play, plain: map[net.Conn]bool{}, beside: map[net.Conn]bool{}}
	f.wg.Go(f.accept)
	tb.Cleanup(func() {
		_ = ln.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.wg.Wait()
	})
	return f
}

func (f *fakeBroker) url() string { return "tcp://" + f.ln.Addr().String() }

func (f *fakeBroker) accept() {
	for n := 1; ; n++ {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, c)
		f.mu.Unlock()
		f.wg.Go(func() { f.serve(n, c) })
	}
}

func (f *fakeBroker) serve(n int, c net.Conn) {
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		if f.probes(c, p) {
			continue
		}
		answers, hangUp := f.play(n, p)
		for _, a := range answers {
			if f.write(c, a) != nil {
				return
			}
		}
		if hangUp {
			return
		}
	}
}

func (f *fakeBroker) write(c net.Conn, p packets.ControlPacket) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return p.Write(c)
}

// probes passes probes on, to all but a bridge's own connection, and answers pings behind them.
func (f *fakeBroker) probes(c net.Conn, p packets.ControlPacket) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch p := p.(type) {
	case *packets.ConnectPacket:
		f.plain[c] = p.ProtocolVersion == byte(levelPlain)
		f.beside[c] = p.ClientIdentifier != "chatrelay"
	case *packets.PublishPacket:
		if _, ok := parseProbe(p.Payload); !ok || p.Qos > 0 {
			return false
		}
		if n := len(p.Payload); f.limit > 0 && n > 1000 {
			if n < f.most && (f.lapse == 0 || f.lapse == n) {
				f.lapse = n
				return true
			}
			if n < f.most {
				f.lapse = -1
			}
			if n > f.limit {
				return true
			}
		}
		for _, to := range f.conns {
			if f.severs && f.beside[to] {
				_ = to.Close()
				continue
			}
			if (to != c || f.plain[c]) && !f.deaf && !(f.mute && !f.plain[to]) {
				_ = p.Write(to)
			}
		}
		return true
	}
	return false
}

func connack(code byte) packets.ControlPacket {
	p := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	p.ReturnCode = code
	return p
}

func suback(id uint16, code byte) packets.ControlPacket {
	p := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	p.MessageID, p.ReturnCodes = id, []byte{code}
	return p
}

// polite answers as a broker does that takes everything.
func polite(p packets.ControlPacket) []packets.ControlPacket {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return []packets.ControlPacket{connack(0)}
	case *packets.SubscribePacket:
		return []packets.ControlPacket{suback(p.MessageID, 2)}
	case *packets.PingreqPacket:
		return []packets.ControlPacket{packets.NewControlPacket(packets.Pingresp)}
	case *packets.PublishPacket:
		if p.Qos == 2 {
			a := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
			a.MessageID = p.MessageID
			return []packets.ControlPacket{a}
		}
	case *packets.PubrelPacket:
		a := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
		a.MessageID = p.MessageID
		return []packets.ControlPacket{a}
	}
	return nil
}
