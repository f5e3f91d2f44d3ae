package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"chatrelay/test/chromium"
)

// act is something a person does or sees.
type act func(context.Context) error

// all is one act after the other.
func all(acts ...act) act {
	return func(ctx context.Context) error {
		for _, a := range acts {
			if err := a(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// checker drives the page, by what a person sees and touches.
type checker struct {
	stage *stage
	b     *chromium.Browser
	out   string // folder of the screenshots
}

// opens loads the page and waits until all wires of all phones are up.
func (c *checker) opens(ctx context.Context) error {
	if err := c.b.Look(1600, 900, density, "light"); err != nil {
		return err
	}
	if err := c.b.Open(c.stage.page.URL()); err != nil {
		return err
	}
	return c.sees(ctx, fmt.Sprintf(`document.querySelectorAll('.phone[data-state="up"]').length === %d`, len(people)))
}

// clientOpens waits until the friend's client is logged in, has the phone as a contact that is there, and its chat open.
func (c *checker) clientOpens(name string) act {
	return func(ctx context.Context) error {
		return c.sees(ctx, fmt.Sprintf(`%s?.querySelector('converse-chat .chat-textarea') != null &&
			%[1]s.querySelector('converse-chat-heading').textContent.includes(%s) &&
			[...%[1]s.querySelectorAll('converse-roster-contact')].some(el => el.textContent.includes(%[2]s) &&
				el.querySelector('.chat-status').getAttribute('color').includes('online'))`, client, quote(name)))
	}
}

// clientWrites types into the chat that is open in the friend's client.
func (c *checker) clientWrites(text string) act {
	return func(context.Context) error {
		if err := c.do(client + ".querySelector('converse-chat .chat-textarea').focus()"); err != nil {
			return err
		}
		return c.b.Type(text)
	}
}

// clientShows waits until a text stands in the friend's client, once, as it was written; an own one with the sign of a receipt.
func (c *checker) clientShows(text string, own bool) act {
	return func(ctx context.Context) error {
		return c.sees(ctx, fmt.Sprintf(`(rows => rows.length === 1 && (!%t || rows[0].querySelector('.chat-msg__receipt') !== null))(
			[...%s.querySelectorAll('converse-chat-message')].filter(m => m.querySelector('.chat-msg__text')?.textContent.trim() === %s))`,
			own, client, quote(text)))
	}
}

// writes opens a chat on a phone and types.
func (c *checker) writes(who, chat, text string) act {
	return func(context.Context) error {
		if err := c.turnTo(who, chat); err != nil {
			return err
		}
		if err := c.do(phone(who) + ".querySelector('textarea').focus()"); err != nil {
			return err
		}
		return c.b.Type(text)
	}
}

// arrives waits until a text stands in a chat, exactly once, and came by a wire.
func (c *checker) arrives(who, chat, text, via string) act {
	return func(ctx context.Context) error {
		return c.seesRow(ctx, who, chat, text, false, fmt.Sprintf("row.dataset.via.split(' ').includes(%s)", quote(via)))
	}
}

// seesSent waits until an own text has the sign of the status "sent"; seesReceived, that of "received".
func (c *checker) seesSent(who, chat, text string) act { return c.seesStatus(who, chat, text, "sent") }

func (c *checker) seesReceived(who, chat, text string) act {
	return c.seesStatus(who, chat, text, "received")
}

func (c *checker) seesStatus(who, chat, text, status string) act {
	return func(ctx context.Context) error {
		return c.seesRow(ctx, who, chat, text, true, "row.dataset.status === "+quote(status))
	}
}

// power presses the switch of a phone.
func (c *checker) power(who string) act {
	return func(context.Context) error { return c.do(phone(who) + ".querySelector('.plug').click()") }
}

// waits waits until a phone says that one message waits.
func (c *checker) waits(who string) act {
	return func(ctx context.Context) error {
		return c.sees(ctx, phone(who)+".querySelector('.banner').textContent.includes('1 message waits here')")
	}
}

// unread waits until a chat that is not open has one unread message.
func (c *checker) unread(who, chat string) act {
	return func(ctx context.Context) error {
		return c.sees(ctx, fmt.Sprintf("(badge => !badge.hidden && badge.textContent === '1')(%s.querySelector('.badge'))", tab(who, chat)))
	}
}

// publishes writes into an inbox as a program of the house does, past the page.
func (c *checker) publishes(from, name, to, text string) act {
	return func(ctx context.Context) error {
		body, err := json.Marshal(map[string]any{
			"chatType": 1, "contentType": 0, "content": text, "from": from, "to": to, "name": name, "timeStamp": time.Now().UnixMilli(),
		})
		if err != nil {
			return err
		}
		host, port, err := net.SplitHostPort(c.stage.broker.Addr)
		if err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, "mosquitto_pub", "-h", host, "-p", port, "-u", backendUser, "-P", password(backendUser),
			"-i", "demo-check", "-q", "2", "-t", prefix+"/"+to, "-m", string(body)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("mosquitto_pub: %w: %s", err, out)
		}
		return nil
	}
}

// noErrors wants that the page threw nothing and that nothing it asked for was refused.
func (c *checker) noErrors(context.Context) error {
	if err := c.do("0"); err != nil { // reads what is under way
		return err
	}
	if len(c.b.Errors) > 0 {
		return errors.New(strings.Join(c.b.Errors, "\n"))
	}
	return nil
}

// seesRow opens a chat and waits until a text is there, once, and its row is as the condition says.
func (c *checker) seesRow(ctx context.Context, who, chat, text string, own bool, condition string) error {
	rows := fmt.Sprintf("[...%s.querySelectorAll('.row[data-own=%q]')].filter(r => r.querySelector('.text').textContent === %s)",
		phone(who), fmt.Sprint(own), quote(text))
	return until(ctx, func(ctx context.Context) error {
		if err := c.turnTo(who, chat); err != nil { // its tab may come with the message
			return err
		}
		return c.is(fmt.Sprintf("(rows => rows.length === 1 && rows.every(row => %s))(%s)", condition, rows))
	})
}

// sees waits until a JavaScript expression is true.
func (c *checker) sees(ctx context.Context, expression string) error {
	return until(ctx, func(context.Context) error { return c.is(expression) })
}

func (c *checker) is(expression string) error {
	v, err := c.b.Eval(expression)
	if err != nil {
		return errFinal{err}
	}
	if v != true {
		return fmt.Errorf("not seen: %s", expression)
	}
	return nil
}

// turnTo opens a chat on a phone, unless it is open.
func (c *checker) turnTo(who, chat string) error {
	v, err := c.b.Eval(fmt.Sprintf("(tab => { if (tab && !tab.ariaCurrent) tab.click(); return tab !== null })(%s)", tab(who, chat)))
	if err != nil {
		return err
	}
	if v != true {
		return fmt.Errorf("%s has no chat with %s", who, chat)
	}
	return nil
}

func (c *checker) do(script string) error {
	_, err := c.b.Eval(script)
	return err
}

// client is the JavaScript for the document of the friend's client.
const client = "document.querySelector('.client iframe').contentDocument"

// phone is the JavaScript for a person's phone; tab for one of its chats.
func phone(who string) string {
	return fmt.Sprintf("document.querySelector('.phone[data-landline=%q]')", who)
}

func tab(who, chat string) string {
	return fmt.Sprintf("%s.querySelector('.chat[data-chat=%q]')", phone(who), chat)
}

// quote writes a string as JavaScript reads it.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}
