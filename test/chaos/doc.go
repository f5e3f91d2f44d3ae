// Package chaos breaks everything around and in the relay while numbered messages run both ways, and counts what
// the people at the ends got: lost, duplicated, out of order, never sent; and how long it took until the next
// message came through. The measure is what a sender's own server had acknowledged (PUBCOMP, XEP-0198), not what
// the relay says; in the end the relay's journals (/statusz) are held against the same oracle.
//
// A row is one fault against one XMPP server. Without CHATRELAY_CHAOS a selection runs in about two minutes;
// CHATRELAY_CHAOS=all runs every row against both servers at the same length, and
// CHATRELAY_CHAOS=full at full length (100 kills, 300 cuts). The relay is built from this tree, with fail points
// (package relay below this one). By default it speaks MQTT 5; CHATRELAY_CHAOS_MQTT=3.1.1 makes it speak that.
//
// The table is written to out/chaos.md in the repository's root; that of a run of all rows at full length also to
// docs/FAULTS.md, and a few rows of it to README, if nothing is said of MQTT.
package chaos
