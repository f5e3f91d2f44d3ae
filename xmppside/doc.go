// Package xmppside is the relay's side towards the XMPP server: it takes what is sent to the relay's account and
// what is said in the rooms it serves, and sends what the journal says.
//
// It is an ordinary client of one account. mellium.im/xmpp frames the stream and does TLS and SASL; package
// sm below it (XEP-0198) decides what is acknowledged and what is sent again. The parts:
//
//   - connector makes a logged-in connection: address, TCP, and a login over that; client is the login there is. loop does it again
//     and again; prepare is what is done on one before messages go out, and gate lets them out.
//   - streamJournal is sm's Journal over bridge.SideJournal: which delivery has which number in which stream, and the
//     stream's name.
//   - translator says what a message stanza is, from the stanza alone, and writes deliveries as stanzas; inbox offers what came, in
//     order.
//   - package muc (XEP-0045) sits in the served rooms, remembers who their occupants really are, and follows posts until the room
//     has reflected them.
//   - package mam (XEP-0313) fills the gap after a login that could not resume.
//   - poison sets a stanza aside that the server answers by closing the stream.
//
// It knows JIDs and stanzas; it does not know envelopes, routes or the other side. internal/app makes it and
// runs it.
//
// Left out: component mode (XEP-0114), SCRAM-PLUS, rosters, carbons, encryption.
package xmppside
