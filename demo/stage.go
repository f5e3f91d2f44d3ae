package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chatrelay/test/servers"
)

const buildTimeout = 10 * time.Minute // a first build compiles SQLite

// stage is all that runs.
type stage struct {
	root   string
	broker *servers.Mosquitto
	chat   *servers.XMPP
	relay  *relay
	texts  *relay // the second one
	page   *page
}

// startAll starts everything, what is needed first first. Close it also after an error.
func startAll(ctx context.Context, root, dir string, port int) (*stage, error) {
	s := &stage{root: root}
	for _, start := range []func(context.Context, string) error{s.startBroker, s.startChat, s.startRelays} {
		if err := start(ctx, dir); err != nil {
			return s, err
		}
	}
	var err error
	s.page, err = servePage(s, port)
	return s, err
}

// relays are those that run; kill -9 and a new start are for both.
func (s *stage) relays() relays {
	return slices.DeleteFunc(relays{s.texts, s.relay}, func(r *relay) bool { return r == nil })
}

// Close stops everything, in reverse.
func (s *stage) Close() error {
	var errs []error
	if s.page != nil {
		errs = append(errs, s.page.Close())
	}
	for _, r := range s.relays() {
		errs = append(errs, r.Stop())
	}
	if s.chat != nil {
		errs = append(errs, s.chat.Close())
	}
	if s.broker != nil {
		errs = append(errs, s.broker.Close())
	}
	return errors.Join(errs...)
}

func (s *stage) startBroker(ctx context.Context, dir string) (err error) {
	since := time.Now()
	if dir, err = subdir(dir, "mosquitto"); err != nil {
		return err
	}
	s.broker, err = servers.StartMosquitto(ctx, dir, servers.MosquittoConfig{
		Persistence: true, AutosaveOnChanges: true, Websockets: true,
		Users: brokerUsers(), ACL: brokerACL(), Extra: "set_tcp_nodelay true",
	})
	if err == nil {
		line("mosquitto", s.broker.Addr+" and "+s.broker.WSURL, since)
	}
	return err
}

func (s *stage) startChat(ctx context.Context, dir string) (err error) {
	since := time.Now()
	if dir, err = subdir(dir, "prosody"); err != nil {
		return err
	}
	s.chat, err = servers.StartProsody(ctx, dir, servers.XMPPConfig{
		Domain: domain, Users: chatUsers(), Rooms: []string{roomName}, MAM: true, Component: component,
	})
	if err == nil {
		line("prosody", s.chat.Addr+" and "+s.chat.WSURL, since)
	}
	return err
}

func (s *stage) startRelays(ctx context.Context, dir string) (err error) {
	since := time.Now()
	binary, err := buildRelay(ctx, s.root, dir)
	if err != nil {
		return err
	}
	line("built", "./cmd/chatrelay", since)
	if s.relay, err = s.startRelay(ctx, binary, filepath.Join(dir, "relay"), s.accountSettings()); err == nil {
		s.texts, err = s.startRelay(ctx, binary, filepath.Join(dir, "relay-text"), s.componentSettings())
	}
	return err
}

// accountSettings are those of the relay that phones send envelopes to.
func (s *stage) accountSettings() map[string]string {
	return map[string]string{
		"TOPIC_PREFIX":  prefix,
		"XMPP_JID":      s.chat.JID(account),
		"XMPP_PASSWORD": password(account),
		"XMPP_ADDR":     s.chat.Addr,
		"XMPP_CA_FILE":  s.chat.CAFile,
		"GROUPS_FILE":   "groups.csv",
	}
}

// componentSettings are those of the relay that makes phones people on XMPP.
func (s *stage) componentSettings() map[string]string {
	return map[string]string{
		"TOPIC_PREFIX":     textPrefix,
		"MQTT_CLIENT_ID":   "chatrelay-text",
		"XMPP_MODE":        "component",
		"XMPP_JID":         s.chat.Component,
		"XMPP_PASSWORD":    s.chat.Secret(),
		"XMPP_ADDR":        s.chat.ComponentAddr,
		"XMPP_USER_DOMAIN": domain,
		"NOTICES":          "sent,delayed,failed,received",
	}
}

// startRelay starts one relay with a folder of its own, and waits until it is ready.
func (s *stage) startRelay(ctx context.Context, binary, dir string, settings map[string]string) (*relay, error) {
	since := time.Now()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "groups.csv"), []byte(groupsCSV()), 0o600); err != nil {
		return nil, err
	}
	maps.Copy(settings, map[string]string{
		"MQTT_URL":      s.broker.URL,
		"MQTT_USERNAME": relayUser,
		"MQTT_PASSWORD": password(relayUser),
		"STORE":         filepath.Join(dir, "journal"),
		"LOG_FORMAT":    "json",
	})
	r, err := newRelay(binary, dir, settings)
	if err != nil {
		return nil, err
	}
	if err := r.Start(ctx); err != nil {
		return r, err
	}
	line("chatrelay", settings["XMPP_JID"]+" is ready, "+r.URL("/statusz"), since)
	return r, nil
}

func buildRelay(ctx context.Context, root, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	binary := filepath.Join(dir, "chatrelay")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/chatrelay")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/chatrelay: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return binary, nil
}

func subdir(dir, name string) (string, error) {
	dir = filepath.Join(dir, name)
	return dir, os.Mkdir(dir, 0o700)
}
