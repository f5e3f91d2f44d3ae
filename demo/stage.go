package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	page   *page
}

// startAll starts everything, what is needed first first. Close it also after an error.
func startAll(ctx context.Context, root, dir string, port int) (*stage, error) {
	s := &stage{root: root}
	for _, start := range []func(context.Context, string) error{s.startBroker, s.startChat, s.startRelay} {
		if err := start(ctx, dir); err != nil {
			return s, err
		}
	}
	var err error
	s.page, err = servePage(s, port)
	return s, err
}

// Close stops everything, in reverse.
func (s *stage) Close() error {
	var errs []error
	if s.page != nil {
		errs = append(errs, s.page.Close())
	}
	if s.relay != nil {
		errs = append(errs, s.relay.Stop())
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
		Users: brokerUsers(), ACL: brokerACL, Extra: "set_tcp_nodelay true",
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
		Domain: domain, Users: chatUsers(), Rooms: []string{roomName}, MAM: true,
	})
	if err == nil {
		line("prosody", s.chat.Addr+" and "+s.chat.WSURL, since)
	}
	return err
}

func (s *stage) startRelay(ctx context.Context, dir string) (err error) {
	since := time.Now()
	if dir, err = subdir(dir, "chatrelay"); err != nil {
		return err
	}
	binary, err := buildRelay(ctx, s.root, dir)
	if err != nil {
		return err
	}
	line("built", "./cmd/chatrelay", since)
	since = time.Now()
	groupsFile := filepath.Join(dir, "groups.csv")
	if err := os.WriteFile(groupsFile, []byte(groupsCSV()), 0o600); err != nil {
		return err
	}
	s.relay, err = newRelay(binary, dir, map[string]string{
		"MQTT_URL":      s.broker.URL,
		"MQTT_USERNAME": relayUser,
		"MQTT_PASSWORD": password(relayUser),
		"TOPIC_PREFIX":  prefix,
		"XMPP_JID":      s.chat.JID(account),
		"XMPP_PASSWORD": password(account),
		"XMPP_ADDR":     s.chat.Addr,
		"XMPP_CA_FILE":  s.chat.CAFile,
		"GROUPS_FILE":   groupsFile,
		"STORE":         filepath.Join(dir, "journal"),
		"LOG_FORMAT":    "json",
	})
	if err != nil {
		return err
	}
	if err := s.relay.Start(ctx); err != nil {
		return err
	}
	line("chatrelay", "ready, "+s.relay.URL("/statusz"), since)
	return nil
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
