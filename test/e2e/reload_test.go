package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"

	"golang.org/x/sync/errgroup"
)

// replace puts text into a file at once, as Kubernetes and editors do.
func replace(file, text string) error {
	next := file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}

// reread is what the relay logs once new files are in force, refused what it logs of bad ones.
const (
	reread  = "the files were read again"
	refused = "the files cannot be used"
)

func members(room string, landlines ...string) string {
	text := ""
	for _, l := range landlines {
		text += room + "," + l + "\n"
	}
	return text
}

// TestReload: who belongs to a group, and where landlines are, changes while the relay runs: on SIGHUP, and by itself. A
// bad file changes nothing.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	groups, identity := filepath.Join(dir, "groups.csv"), filepath.Join(dir, "identity.csv")
	if err := errors.Join(replace(groups, "team@conference.chat.test,1002\n"), replace(identity, "")); err != nil {
		t.Fatal(err)
	}
	c := newChat(t, stage.Plan{Start: servers.NewProsody, Env: map[string]string{"GROUPS_FILE": groups, "IDENTITY_FILE": identity}})
	room := c.XMPP.Room("team")
	speak := func(t *testing.T, content string, to ...string) {
		t.Helper()
		e := stage.Grouped("1001", room, content)
		c.stanza(t, "1001", e.String())
		for _, name := range to {
			c.h.want(t, "a copy for "+name, stage.WaitLimit, func(got event) bool {
				return got.side == "mqtt" && got.inbox == name && got.env.Content == e.Content && got.env.To == name && !got.env.Notice()
			})
		}
		c.h.wantRoom(t, "chatrelay", e.String())
		c.h.wantNotice(t, "1001", "sent", e.Content)
	}
	// change puts a text into a file, and waits until the relay has said something of it.
	change := func(t *testing.T, file, text, says string, hup bool) {
		t.Helper()
		before := c.Relay.LogCount(says)
		if err := replace(file, text); err != nil {
			t.Fatal(err)
		}
		if hup {
			if err := c.Relay.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		for c.Relay.LogCount(says) == before {
			if time.Since(began) > 5*time.Second {
				t.Fatalf("after %v the relay has not said %q", time.Since(began), says)
			}
			time.Sleep(10 * time.Millisecond) // a poll's pause
		}
		t.Logf("%q after %v", says, time.Since(began).Round(time.Millisecond))
	}
	speak(t, "to one", "1002")
	t.Run("SIGHUP", func(t *testing.T) {
		change(t, groups, members(room, "1002", "1003"), reread, true)
		speak(t, "to two", "1002", "1003")
	})
	t.Run("a change is seen", func(t *testing.T) {
		change(t, groups, members(room, "1003"), reread, false)
		speak(t, "to the other", "1003")
	})
	t.Run("a bad file changes nothing", func(t *testing.T) {
		change(t, identity, "2001,"+c.XMPP.JID("1004")+"\n2002,nonsense\n", refused, false)
		change(t, groups, members(room, "1002", "1003", "1004"), refused, true) // all or nothing
		speak(t, "still to the other", "1003")
	})
	t.Run("both files together", func(t *testing.T) {
		change(t, identity, "2001,"+c.XMPP.JID("1004")+"\n", reread, false)
		speak(t, "to three", "1002", "1003", "1004")
		e := stage.Direct("1001", "2001", "at another's place")
		c.publish(t, "1001", "2001", e.String())
		c.h.wantXMPP(t, "1004", e.String())
		c.h.wantNotice(t, "1001", "sent", e.Content)
		change(t, identity, "", reread, true)
	})
	t.Run("a group that is none any more", func(t *testing.T) {
		other := "hall@" + c.XMPP.RoomService
		c.Relay.WantRooms(t, 1)
		change(t, groups, members(room, "1003")+members(other, "1002"), reread, true)
		c.Relay.WantRooms(t, 2)
		change(t, groups, members(room, "1003"), reread, true)
		c.Relay.WantRooms(t, 1)
	})
	c.end(t)
}

// TestReloadUnderLoad: nothing is lost, doubled, misrouted or put out of order while files change again and again.
func TestReloadUnderLoad(t *testing.T) {
	dir := t.TempDir()
	groups, identity := filepath.Join(dir, "groups.csv"), filepath.Join(dir, "identity.csv")
	if err := errors.Join(replace(groups, ""), replace(identity, "")); err != nil {
		t.Fatal(err)
	}
	o := stage.NewOracle(unrelayed)
	s := stage.New(t, stage.Plan{Binary: binary, Start: servers.NewProsody, Heard: o,
		Env: map[string]string{"GROUPS_FILE": groups, "IDENTITY_FILE": identity}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	f := stage.NewTraffic(s, o)
	g, gctx := errgroup.WithContext(ctx)
	sending, sent := context.WithCancel(gctx)
	g.Go(func() error { defer sent(); return f.Send(gctx, 1500) })
	g.Go(func() error {
		for i := 0; sending.Err() == nil; i++ {
			table := fmt.Sprintf("90%02d,%s\n", i%100, s.XMPP.JID("nobody")) + strings.Repeat("bad\n", i%3/2)
			if err := errors.Join(replace(groups, members(s.XMPP.Room("team"), "1001", fmt.Sprint(5000+i))), replace(identity, table),
				s.Relay.Signal(syscall.SIGHUP)); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond) // the pace of the changes
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	clean(t, finish(ctx, t, f, false))
	s.Relay.Balanced()
	if good, bad := s.Relay.LogCount(reread), s.Relay.LogCount(refused); good < 5 || bad < 2 {
		t.Errorf("the files were read %d times, and refused %d times: too seldom for a test", good, bad)
	}
	s.Relay.Stop()
}
