// Command demo shows chatrelay at work: mosquitto, Prosody and two relays on free loopback ports, and a chat
// page with one phone per landline, which writes by Strophe.js and listens by Paho JS. Beside the phones is an
// ordinary XMPP client, converse.js: the second relay, a component, makes phones people whom it can write to.
//
//	go run ./demo          until Ctrl-C
//	go run ./demo -check   drives the page in headless Chromium, writes demo/out/demo.png, exits 0 or 1
//
// It is for one machine and one person: passwords are fixed and the page hands them out. What it starts
// ends with it, and its files go too, unless -keep says otherwise.
package main
