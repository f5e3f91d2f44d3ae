package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"chatrelay/test/chromium"
)

const (
	stepTimeout  = 12 * time.Second
	checkTimeout = 55 * time.Second
	density      = 2 // of the pictures' pixels
)

// step is one thing that must be seen.
type step struct {
	name string
	run  act
}

// check walks through the steps, one line each, up to the first that fails. A screenshot is written
// either way.
func check(ctx context.Context, s *stage) (err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	dir, err := subdir(filepath.Dir(s.broker.Dir), "chromium")
	if err != nil {
		return err
	}
	path, err := findBinary(chromium.Names()...)
	if err != nil {
		return err
	}
	b, err := chromium.Start(ctx, path, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	c := &checker{stage: s, b: b, out: filepath.Join(s.root, "demo", "out")}
	for _, st := range c.steps() {
		if err := walk(ctx, st); err != nil {
			fmt.Printf("the relay's log ends with:\n%s\n", s.relay.Log()+s.texts.Log())
			return errors.Join(fmt.Errorf("%s: %w", st.name, err), c.shoot(ctx), c.noErrors(ctx))
		}
	}
	return nil
}

func walk(ctx context.Context, st step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	since := time.Now()
	if err := st.run(ctx); err != nil {
		fmt.Printf("FAIL %s\n", st.name)
		return err
	}
	fmt.Printf("ok   %s (%.2f s)\n", st.name, time.Since(since).Seconds())
	return nil
}

// steps is the story that the check tells.
func (c *checker) steps() []step {
	const (
		anna, ben, clara = "1001", "1002", "1003"
		dora             = "dora"

		hello  = "Hi Ben, are you home already?"
		answer = "Almost. Ten minutes, the tram is slow today."
		kettle = "Fine, I’ll put the kettle on."
		keys   = "Forgot my keys – could you open the door?"
		ring   = "Sure. Ring twice, the cat is asleep."
		parcel = `Parcel for you & Anna, <3 kg, "fragile".`
		dinner = "Dinner at seven? I bring bread and cheese."
		soup   = "Lovely. I make the soup."
		dishes = "Then I do the dishes."
		deal   = "Deal! See you at seven."
		plants = "Hi Clara, shall I water your plants?"
		please = "Yes please! The key is <under> the mat & thanks."
		done   = "Done. The basil says hello."
	)
	return []step{
		{"the page opens, every phone is connected", c.opens},
		{"1001 writes to 1002 by XMPP", c.writes(anna, ben, hello)},
		{"it arrives in the inbox of 1002 by MQTT", c.arrives(ben, anna, hello, "MQTT")},
		{"1001 is told: sent", c.seesSent(anna, ben, hello)},
		{"1002 answers, it arrives", all(c.writes(ben, anna, answer), c.arrives(anna, ben, answer, "MQTT"))},
		{"1001 writes again, it arrives", all(c.writes(anna, ben, kettle), c.arrives(ben, anna, kettle, "MQTT"))},
		{"1002 goes offline, what it writes waits in the page", all(c.power(ben), c.writes(ben, anna, keys), c.waits(ben))},
		{"1002 comes back, it goes out, 1002 is told: sent", all(c.power(ben), c.seesSent(ben, anna, keys))},
		{"it arrives, once", c.arrives(anna, ben, keys, "MQTT")},
		{"1001 answers, it arrives", all(c.writes(anna, ben, ring), c.arrives(ben, anna, ring, "MQTT"))},
		{"mosquitto_pub writes to the inbox of 1002", c.publishes("2000", "Door", ben, parcel)},
		{"it reaches the XMPP client of 1002", c.arrives(ben, "2000", parcel, "XMPP")},
		{"1003 writes to the group", c.writes(clara, roomJID, dinner)},
		{"it reaches 1001", c.arrives(anna, roomJID, dinner, "MQTT")},
		{"it reaches 1002", c.arrives(ben, roomJID, dinner, "MQTT")},
		{"1003 is told: sent", c.seesSent(clara, roomJID, dinner)},
		{"1001 answers the group, 1003 reads it", all(c.writes(anna, roomJID, soup), c.arrives(clara, roomJID, soup, "MQTT"))},
		{"1002 answers the group, 1003 reads it", all(c.writes(ben, roomJID, dishes), c.arrives(clara, roomJID, dishes, "MQTT"))},
		{"1002 looks elsewhere", c.arrives(ben, anna, hello, "MQTT")},
		{"1003 writes to the group, it counts as unread there", all(c.writes(clara, roomJID, deal),
			c.unread(ben, roomJID), c.seesSent(clara, roomJID, deal))},
		{"converse.js is logged in and has 1003 as a contact", c.clientOpens("Clara")},
		{"dora writes to 1003 in converse.js, plain text", c.clientWrites(plants)},
		{"it arrives in the inbox of 1003, as an envelope by MQTT", c.arrives(clara, dora, plants, "MQTT")},
		{"converse.js shows a receipt", c.clientShows(plants, true)},
		{"1003 answers by MQTT, converse.js shows the plain text", all(c.writes(clara, dora, please), c.clientShows(please, false))},
		{"1003 is told: received", c.seesReceived(clara, dora, please)},
		{"dora writes again, it arrives", all(c.clientWrites(done), c.arrives(clara, dora, done, "MQTT"), c.clientShows(done, true))},
		{"1001 reads the group", c.arrives(anna, roomJID, deal, "MQTT")},
		{"no error on the page", c.noErrors},
		{"screenshots in demo/out", c.shoot},
	}
}

// shoot shows the page by day, by night and on a small screen.
func (c *checker) shoot(context.Context) error {
	if err := c.do("document.activeElement.blur()"); err != nil {
		return err
	}
	for _, shot := range []struct {
		file, scheme  string
		width, height int
	}{{"demo.png", "light", 1600, 900}, {"demo-dark.png", "dark", 1600, 900}, {"demo-small.png", "light", 412, 860}} {
		if err := c.b.Look(shot.width, shot.height, density, shot.scheme); err != nil {
			return err
		}
		if err := c.b.Screenshot(filepath.Join(c.out, shot.file)); err != nil {
			return err
		}
	}
	return nil
}
