package console

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

const (
	operator = "operator-0123456789abcdef"
	reader   = "reader-0123456789abcdef"
)

// inbox gets what people's MQTT clients hear.
type inbox chan string

func (i inbox) HearMQTT(name string, payload []byte) {
	select {
	case i <- name + " " + string(payload):
	default: // nobody looks any more
	}
}
func (i inbox) HearXMPP(string, clients.Stanza) {}

// arrives waits until a text arrives.
func (i inbox) arrives(t *testing.T, text string) {
	t.Helper()
	for late := time.After(waitLimit); ; {
		select {
		case got := <-i:
			if strings.Contains(got, text) {
				return
			}
		case <-late:
			t.Fatalf("%q never arrived", text)
		}
	}
}

// TestConsole is a person's way through the console, from the login to the broker's end.
func TestConsole(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	withDeadLetters(t, store)
	heard := make(inbox, 20_000)
	s := stage.New(t, stage.Plan{Binary: binary, Start: servers.NewProsody, Heard: heard, Rooms: true, Env: map[string]string{
		"STORE": store, "CONSOLE_TOKEN": operator, "CONSOLE_READ_TOKEN": reader, "NOTICES": "off", "LOG_LEVEL": "debug",
	}})
	w := &walk{page: newPage(t, s.Relay.URL()), stage: s, heard: heard}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"login", w.logsIn}, {"overview", w.overview}, {"live", w.live}, {"keyboard", w.keyboard}, {"trace", w.trace}, {"log from its start", w.logStarts}, {"ten thousand", w.tenThousand}, {"detail and requeue", w.requeues},
		{"drop some", w.dropsSome}, {"drop by filter", w.dropsByFilter}, {"settings", w.settings}, {"log", w.log},
		{"accessible", w.accessible}, {"waiting, and the broker gone", w.brokerGone}, {"another life", w.anotherLife}, {"reader", w.readsOnly},
	} {
		if !t.Run(step.name, func(t *testing.T) { w.t = t; step.run(t); w.clean() }) {
			return
		}
	}
}

// walk is one person's session.
type walk struct {
	*page
	stage *stage.Stage
	heard inbox
}

func (w *walk) logsIn(*testing.T) {
	w.sees("document.querySelector('#token') !== null")
	w.check("login")
	w.login("wrong")
	w.reads(".login [role=alert]", "not a token")
	w.login(operator)
	w.reads(".top", "Log out")
	w.sees("document.cookie === ''") // no script reads the session
}

func (w *walk) overview(*testing.T) {
	w.reads(".hero", "All well")
	w.reads(".side-card", "Connected")
	w.reads(".side-card", "Sent, not confirmed")
	w.reads(".side-card", "Connections lost")
	w.reads(".rooms", w.stage.XMPP.Room("team"))
	w.reads(".journal", "10,000")
	w.reads(".sum", "It adds up")
	w.reads(".reasons", "not_reflected")
	w.sees("[...document.querySelectorAll('.chart .line')].some((l) => l.getAttribute('d').startsWith('M'))")
}

// live: what a person writes shows without a reload.
func (w *walk) live(t *testing.T) {
	w.eval("window.same = true")
	before := w.eval("document.querySelector('.figures tbody tr:last-child td:nth-of-type(2)').textContent")
	to := stage.Envelope{ChatType: 1, Content: "do you see me?", From: "1001", To: "1002", ID: "live-1", TimeStamp: time.Now().UnixMilli()}
	if err := w.stage.Person("1001").X.Send(w.stage.Receiver(), "chat", "", to.String()); err != nil {
		t.Fatal(err)
	}
	w.heard.arrives(t, "do you see me?")
	w.sees(fmt.Sprintf("window.same && document.querySelector('.figures tbody tr:last-child td:nth-of-type(2)').textContent !== %s", quote(before.(string))))
}

// traces follows one by its sender's id.
func (w *walk) traces(id string) {
	w.opens("trace")
	w.sees("document.querySelector('#t-word') !== null")
	w.eval("document.querySelector('#t-word').focus()")
	if err := w.b.Type(id); err != nil {
		w.t.Fatal(err)
	}
	w.sees("document.querySelector('.traced header') !== null")
}

// trace: each station of the message of before; until a time before it was taken there is none.
func (w *walk) trace(t *testing.T) {
	w.traces("live-1")
	w.reads(".traced header", "delivered")
	w.sees("['taken', 'sent', 'confirmed'].every((text) => [...document.querySelectorAll('.stations strong')].some((el) => el.textContent === text))")
	w.choose("#t-until", "2020-01-01T00:00")
	w.press(".tools", "Follow")
	w.sees("document.querySelector('.traced') === null")
}

// keyboard: from the first Tab to a view, without a pointer.
func (w *walk) keyboard(t *testing.T) {
	key := func(name string) {
		if err := w.b.Press(name); err != nil {
			t.Fatal(err)
		}
	}
	w.eval("window.before = true; location.reload()") // so that the first Tab is the first
	w.sees("window.before === undefined && document.querySelector('.hero') !== null")
	w.reads(".hero", "All well")
	key("Tab")
	w.sees("document.activeElement.className === 'skip'")
	key("Enter")
	w.sees("document.activeElement.tagName === 'H1'")
	w.eval("document.querySelector('.nav [data-view=dead]').focus()")
	key("Enter")
	w.sees("location.hash === '#/dead' && document.activeElement.tagName === 'H1' && document.activeElement.textContent === 'Dead letters'")
	w.sees("document.querySelector('.ref') !== null")
	w.eval("document.querySelector('.ref').focus()")
	key("Enter")
	w.sees("document.querySelector('dialog[open]')?.contains(document.activeElement)")
	key("Escape")
	w.sees("document.querySelector('dialog') === null && document.activeElement.className === 'ref'")
}

// logStarts is before a line for each dropped dead letter has pushed out the first ones.
func (w *walk) logStarts(*testing.T) {
	w.opens("log")
	w.reads(".log", "chatrelay starts")
}

// tenThousand: all of them can be scrolled through, and only what is seen is in the page.
func (w *walk) tenThousand(t *testing.T) {
	w.opens("dead")
	w.reads(".summary", "10,000 dead letters")
	w.eval(`(() => {
		const seen = window.seen = {most: 0, slowest: 0}, pane = document.querySelector('.scroll');
		let last = performance.now();
		const frame = (now) => {
			if (document.querySelector('.tbody .tr:last-child')?.ariaRowIndex === '10001') seen.end = true;
			else requestAnimationFrame(frame);
			seen.slowest = Math.max(seen.slowest, now - last);
			seen.most = Math.max(seen.most, document.querySelectorAll('.tbody .tr').length);
			last = now;
			pane.scrollTop += 20000;
		};
		requestAnimationFrame(frame);
	})()`)
	w.sees("window.seen.end === true")
	most, slowest := w.eval("window.seen.most").(float64), w.eval("window.seen.slowest").(float64)
	t.Logf("%.0f rows in the page at most, the slowest frame took %.0f ms", most, slowest)
	if most > 60 {
		t.Errorf("%.0f rows are in the page", most)
	}
	w.sees("document.querySelector('.tbody').getBoundingClientRect().height === 450000")
}

// requeues opens one by its reason, reads why, and sends it again: it arrives.
func (w *walk) requeues(t *testing.T) {
	w.choose("#f-reason", "gave_up")
	w.reads(".summary", "1,000 dead letters")
	w.sees("[...document.querySelectorAll('.tbody .c-why')].every((td) => td.textContent === 'gave_up') && document.querySelector('.ref') !== null")
	w.eval("document.querySelector('.ref').click()")
	w.reads("dialog", "turned it away for a day")
	w.reads("dialog", markup) // as text
	w.sees("document.querySelector('dialog img') === null && document.title !== 'hacked'")
	w.check("a dead letter")
	w.press("dialog", "Requeue")
	w.reads("dialog", "Requeue 1 dead letter?")
	w.press("dialog.ask", "Requeue")
	w.heard.arrives(t, "letter ")
	w.reads(".toast", "1 requeued")
	w.reads(".summary", "999 dead letters")
	w.sees("document.querySelector('dialog') === null")
	w.reads(".nav [data-view=dead]", "9,999")
}

func (w *walk) dropsSome(*testing.T) {
	w.eval("[...document.querySelectorAll('.tbody input')].slice(0, 3).forEach((box) => box.click())")
	w.reads(".chosen", "3 chosen")
	w.press(".actions", "Drop")
	w.reads("dialog", "Drop 3 dead letters?")
	w.press("dialog", "Drop")
	w.reads(".toast", "3 dropped")
	w.reads(".summary", "996 dead letters")
}

func (w *walk) dropsByFilter(*testing.T) {
	w.press(".actions", "Drop these")
	w.reads("dialog", "Drop 996 dead letters?")
	w.press("dialog", "Drop")
	w.reads(".toast", "996 dropped")
	w.reads(".empty", "No dead letters")
	w.press(".tools", "Reset")
	w.reads(".summary", "9,000 dead letters")
	w.reads(".nav [data-view=dead]", "9,000")
}

// settings shows what is in force, and no secret.
func (w *walk) settings(t *testing.T) {
	w.opens("settings")
	w.reads(".settings", "CHATRELAY_CONSOLE_TOKEN")
	w.reads(".settings", w.stage.MQTT.URL)
	w.sees("[...document.querySelectorAll('.settings tr')].some((tr) => tr.textContent.includes('CONSOLE_TOKEN') && tr.querySelector('td').textContent === 'secret')")
	if all := w.eval("document.documentElement.outerHTML").(string); strings.Contains(all, operator) || strings.Contains(all, reader) || strings.Contains(all, w.stage.XMPP.Password("receiver")) {
		t.Error("a secret is in the page")
	}
	w.eval("document.querySelector('#s-only').click()")
	w.sees("document.querySelectorAll('.settings .default').length === 0 && document.querySelectorAll('.settings tbody tr').length > 5")
}

// log grows by itself, and is what the relay writes.
func (w *walk) log(t *testing.T) {
	w.opens("log")
	w.reads(".log", "dead letters changed in the console")
	refused := stage.Envelope{ChatType: 1, Content: "x", From: markup, To: "1002", ID: "log-1"}
	if err := w.stage.Person("1001").X.Send(w.stage.Receiver(), "chat", "", refused.String()); err != nil {
		t.Fatal(err)
	}
	w.choose("#l-level", "debug")
	w.choose("#l-word", "refused")
	w.reads(".log", "refused")
	w.sees("document.querySelector('.log img') === null && document.title !== 'hacked'")
}

// accessible: axe-core finds nothing, whatever the colours, the language and the width.
func (w *walk) accessible(*testing.T) {
	for _, look := range []struct {
		scheme, language string
		width            int
	}{{"light", "en", 1280}, {"dark", "zh-CN", 390}, {"dark", "en", 1280}, {"light", "zh-CN", 390}} {
		w.look(look.width, 860, look.scheme)
		w.choose(".choices select", look.language)
		w.sees("document.documentElement.lang === " + quote(look.language))
		for _, view := range []string{"overview", "waiting", "dead", "trace", "settings", "log"} {
			w.opens(view)
			w.sees("document.querySelector('.figures td, #t-word, .settings td, .ref, .line, .empty:not([hidden])') !== null && document.querySelector('.pill').textContent !== ''")
			w.check(fmt.Sprint(view, " ", look))
			w.sees("document.documentElement.scrollWidth <= innerWidth") // nothing is wider than the page
		}
		w.traces("live-1")
		w.check(fmt.Sprint("a traced message ", look))
		w.dialogs(fmt.Sprint(look))
	}
	w.choose(".choices select", "en")
	w.look(1280, 860, "light")
}

// dialogs are a dead letter, and the question before it is dropped.
func (w *walk) dialogs(look string) {
	w.opens("dead")
	w.sees("document.querySelector('.ref') !== null")
	w.eval("document.querySelector('.ref').click()")
	w.sees("document.querySelector('dialog[open] .quiet-danger') !== null")
	w.check("a dead letter " + look)
	w.eval("document.querySelector('dialog[open] .quiet-danger').click()")
	w.sees("document.querySelector('dialog.ask[open]') !== null")
	w.check("a question " + look)
	w.eval("for (const box of document.querySelectorAll('dialog[open]')) box.close()")
	w.sees("document.querySelector('dialog') === null")
}

// brokerGone: the page says so by itself, and why a message waits.
func (w *walk) brokerGone(t *testing.T) {
	w.opens("overview")
	w.reads(".hero", "All well")
	if err := w.stage.MQTT.Stop(); err != nil {
		t.Fatal(err)
	}
	w.reads(".hero", "Not ready")
	w.reads(".problems", "mqtt:")
	e := stage.Envelope{ChatType: 1, Content: "x", From: "1001", To: "1002", ID: "wait-1", TimeStamp: time.Now().UnixMilli()}
	if err := w.stage.Person("1001").X.Send(w.stage.Receiver(), "chat", "", e.String()); err != nil {
		t.Fatal(err)
	}
	w.opens("waiting")
	w.reads(".c-why", "MQTT is down")
	w.check("what waits")
	if err := w.stage.MQTT.Start(); err != nil {
		t.Fatal(err)
	}
	w.reads(".empty", "Nothing waits")
}

// anotherLife: a relay that was killed is seen to be gone, and asks for the token again when it is back.
func (w *walk) anotherLife(*testing.T) {
	w.stage.Relay.Kill()
	w.reads(".lost", "connection to the relay is lost")
	w.check("without a relay")
	w.b.Errors = nil // the browser names each attempt
	w.stage.Relay.Start()
	w.sees("document.querySelector('#token') !== null")
	w.b.Errors = nil
}

// readsOnly: who may only look sees no button, and could not use one.
func (w *walk) readsOnly(*testing.T) {
	w.login(reader)
	w.reads(".top", "read-only")
	w.opens("dead")
	w.reads(".summary", "9,000 dead letters")
	w.sees("document.querySelector('.ref') !== null && document.querySelector('.tbody input') === null && document.querySelector('.actions').textContent === ''")
	w.check("a reader")
	w.sees(`fetch('api/dead/drop', {method: 'POST', headers: {'Chatrelay-Console': '1', 'Content-Type': 'application/json'}, body: '{"all":true}'}).then((r) => r.status === 403)`)
	w.press(".top", "Log out")
	w.sees("document.querySelector('#token') !== null")
	w.sees("fetch('api/settings').then((r) => r.status === 401)")
}
