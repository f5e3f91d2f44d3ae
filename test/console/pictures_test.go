package console

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

// The pictures of docs/CONSOLE.md are made by `go generate ./test/console`: eleven minutes of a relay's life.
//
//go:generate go test . -count=1 -timeout 20m -run ^TestPictures$ -pictures 10m30s
var pictures = flag.Duration("pictures", 0, "make the pictures of docs/CONSOLE.md, after so much traffic")

// TestPictures shows the relay at work, with the chat server away for a moment.
func TestPictures(t *testing.T) {
	if *pictures == 0 {
		t.Skip("go generate ./test/console makes the pictures")
	}
	store := filepath.Join(t.TempDir(), "store")
	withDeadLetters(t, store)
	heard := make(inbox, 20_000)
	s := stage.New(t, stage.Plan{Binary: binary, Start: servers.NewProsody, Heard: heard, Rooms: true, Env: map[string]string{
		"STORE": store, "CONSOLE_TOKEN": operator,
	}})
	chat(t, s, *pictures)
	e := stage.Direct("1001", "1002", "Hi Ben!")
	e.ID = "hello-ben"
	if err := s.Person("1001").X.Send(s.Receiver(), "chat", "", e.String()); err != nil {
		t.Fatal(err)
	}
	heard.arrives(t, "Hi Ben!")
	w := &walk{page: newPage(t, s.Relay.URL()), stage: s, heard: heard}
	w.login(operator)
	w.reads(".hero", "All well")
	for _, shot := range []struct {
		file, view, language, scheme string
		width, height                int
		ready                        string
	}{
		{"overview", "overview", "en", "light", 1280, 1240, "document.querySelector('.figures td') !== null"},
		{"dead-dark", "dead", "en", "dark", 1280, 800, "document.querySelector('.ref') !== null"},
		{"trace", "trace", "en", "light", 1280, 860, "document.querySelector('#t-word') !== null"},
		{"phone", "overview", "zh-CN", "light", 390, 844, "document.querySelector('.figures td') !== null"},
		{"phone-dark", "trace", "zh-CN", "dark", 390, 844, "document.querySelector('#t-word') !== null"},
	} {
		w.look(shot.width, shot.height, shot.scheme)
		w.choose(".choices select", shot.language)
		w.sees("document.documentElement.lang === " + quote(shot.language))
		w.opens(shot.view)
		w.sees(shot.ready)
		switch shot.view {
		case "dead":
			w.eval("[...document.querySelectorAll('.tbody input')].slice(1, 4).forEach((box) => box.click())")
		case "trace":
			w.eval("document.querySelector('#t-word').focus()")
			if err := w.b.Type(e.ID); err != nil {
				t.Fatal(err)
			}
			w.sees("document.querySelector('.stations strong') !== null")
			w.eval("document.activeElement.blur(); scrollTo(0, 0)")
		}
		time.Sleep(3 * time.Second) // the next figures are there
		if err := w.b.Screenshot(filepath.Join("../../docs", "console-"+shot.file+".png")); err != nil {
			t.Fatal(err)
		}
	}
}

// chat is people who write to each other, now more, now less. For a while the chat server is away.
func chat(t *testing.T, s *stage.Stage, long time.Duration) {
	t.Helper()
	began, away, back := time.Now(), false, false
	for n := 0; time.Since(began) < long; n++ {
		part := float64(time.Since(began)) / float64(long)
		from, to := stage.Landlines()[rand.IntN(4)], stage.Landlines()[rand.IntN(4)]
		e := stage.Direct(from, to, fmt.Sprintf("message %d", n))
		switch {
		case from == to:
			continue
		case rand.Float64() < 0.3+0.3*part && !away:
			if err := s.Person(from).X.Send(s.Receiver(), "chat", "", e.String()); err != nil {
				t.Fatal(err)
			}
		default:
			if err := s.Person(from).M.Publish(t.Context(), stage.Inbox(to), []byte(e.String()), 2); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		switch {
		case part > 0.6 && !away && !back:
			away, err = true, s.XMPP.Stop()
		case part > 0.64 && away:
			away, back, err = false, true, s.XMPP.Start()
			for _, p := range s.People {
				if err == nil {
					err = p.X.Ready(t.Context())
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration((70 + 45*math.Sin(9*part)) * float64(time.Millisecond)))
	}
}
