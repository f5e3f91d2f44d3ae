// Package xmppside is the relay's side towards the XMPP server: it takes what is sent to the relay's account and
// what is said in the rooms it serves, and sends what the journal says.
//
// It is an ordinary client of one account. mellium.im/xmpp frames the stream and does TLS and SASL; package
// sm below it (XEP-0198) decides what is acknowledged and what is sent again. The parts:
//
//   - connector makes a logged-in connection: address, TCP, TLS, SASL, bind or resume. loop does it again and again; login
//     is what the side does on one.
//   - streamJournal is sm's Journal over bridge.SideJournal: which delivery has which number in which stream, and the
//     stream's name.
//   - classify says what a message stanza is, from the stanza alone; inbox offers it, in order.
//   - rooms sit in the served rooms and remember who their occupants really are.
//   - posts follow what is said in them for others until the room has reflected it: selfping asks a room that does
//     not, lookup finds out what a room had when the stream was lost.
//   - package mam (XEP-0313) fills the gap after a login that could not resume.
//   - poison sets a stanza aside that the server answers by closing the stream.
//
// It knows JIDs and stanzas; it does not know envelopes, routes or the other side. internal/app makes it and
// runs it.
//
// Left out: component mode (XEP-0114), SCRAM-PLUS, rosters, carbons, encryption.
package xmppside
