package servers

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// mqttLogin sends a CONNECT and returns the connection and the CONNACK's flags and code.
func mqttLogin(t *testing.T, c net.Conn, id string, clean bool, login ...string) (present bool, code byte) {
	t.Helper()
	flags := byte(0)
	if clean {
		flags = 2
	}
	fields := []string{id}
	if len(login) > 0 {
		flags |= 0xC0
		fields = append(fields, login...)
	}
	raw := append([]byte("\x00\x04MQTT\x04"), flags, 0, 60)
	for _, f := range fields {
		raw = append(raw, byte(len(f)>>8), byte(len(f)))
		raw = append(raw, f...)
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(append([]byte{0x10, byte(len(raw))}, raw...)); err != nil {
		t.Fatal(err)
	}
	var ack [4]byte
	if _, err := io.ReadFull(c, ack[:]); err != nil {
		t.Fatal(err)
	}
	return ack[2] == 1, ack[3]
}

func TestMosquittoKeepsSessions(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  MosquittoConfig
		end  func(*Mosquitto) error
		want bool
	}{
		{"stop with persistence", MosquittoConfig{Persistence: true}, func(m *Mosquitto) error { return m.Stop() }, true},
		{"kill with autosave", MosquittoConfig{Persistence: true, AutosaveOnChanges: true}, func(m *Mosquitto) error { return m.Kill() }, true},
		{"stop without persistence", MosquittoConfig{}, func(m *Mosquitto) error { return m.Stop() }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := NewMosquitto(t, test.cfg)
			c := connect(t, m.Addr)
			mqttLogin(t, c, "one", false)
			// Subscribed at QoS 2: a session worth keeping. The SUBACK is 5 bytes.
			if _, err := c.Write([]byte{0x82, 6, 0, 1, 0, 1, 'a', 2}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			addr := m.Addr
			if err := test.end(m); err != nil {
				t.Fatal(err)
			}
			if err := m.Start(); err != nil {
				t.Fatal(err)
			}
			if m.Addr != addr {
				t.Error("it moved")
			}
			if got, _ := mqttLogin(t, connect(t, m.Addr), "one", false); got != test.want {
				t.Errorf("session present: %t", got)
			}
		})
	}
}

func TestMosquittoUsers(t *testing.T) {
	m := NewMosquitto(t, MosquittoConfig{Users: map[string]string{"1001": "pw", "relay": "secret"}, ACL: "user relay\ntopic readwrite #"})
	for _, test := range []struct {
		name  string
		login []string
		want  byte
	}{
		{"right", []string{"1001", "pw"}, 0}, {"another right", []string{"relay", "secret"}, 0},
		{"wrong", []string{"1001", "no"}, 5}, {"nobody", nil, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, got := mqttLogin(t, connect(t, m.Addr), "c", true, test.login...); got != test.want {
				t.Errorf("code %d, want %d", got, test.want)
			}
		})
	}
}

func TestMosquittoTLS(t *testing.T) {
	m := NewMosquitto(t, MosquittoConfig{RequireClientCert: true, Websockets: true, Users: map[string]string{"a": "b"}})
	cert, err := tls.LoadX509KeyPair(m.ClientCertFile, m.ClientKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: trust(t, m.Certs), ServerName: "localhost", MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	c, err := tls.Dial("tcp", m.TLSAddr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, code := mqttLogin(t, c, "c", true); code != 0 {
		t.Errorf("with a certificate: code %d", code)
	}
	cfg.Certificates = nil
	bare, err := tls.Dial("tcp", m.TLSAddr, cfg)
	if err == nil { // TLS 1.3 tells on the first read
		defer bare.Close()
		_, err = bare.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("no certificate was needed")
	}
	talk(t, connect(t, m.WSAddr), "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", "101 ")
}

func TestMosquittoConfigFile(t *testing.T) {
	for _, test := range []struct {
		name       string
		cfg        MosquittoConfig
		has, hasNo []string
	}{
		{"defaults", MosquittoConfig{}, []string{"persistence false", "allow_anonymous true"}, []string{"max_inflight", "max_queued", "message_size_limit", "password_file", "acl_file"}},
		{"limits", MosquittoConfig{MaxInflight: 7, MaxQueued: 8, MessageSizeLimit: 9, Extra: "max_keepalive 100"},
			[]string{"max_inflight_messages 7", "max_queued_messages 8", "message_size_limit 9", "max_keepalive 100"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := NewMosquitto(t, test.cfg)
			b, err := os.ReadFile(filepath.Join(m.Dir, "mosquitto.conf"))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.has {
				if !strings.Contains(string(b), want+"\n") {
					t.Errorf("no %q in:\n%s", want, b)
				}
			}
			for _, no := range test.hasNo {
				if strings.Contains(string(b), no) {
					t.Errorf("%q in:\n%s", no, b)
				}
			}
		})
	}
}

func TestFreezeAndUnfreeze(t *testing.T) {
	m := NewMosquitto(t, MosquittoConfig{})
	if err := m.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := answersMQTT(soonBut(t, 200*time.Millisecond), m.Addr); err == nil {
		t.Error("it answers though frozen")
	}
	if err := m.Unfreeze(); err != nil {
		t.Fatal(err)
	}
	if err := answersMQTT(soon(t), m.Addr); err != nil {
		t.Error(err)
	}
}
