// Package mam takes from a server's archive (XEP-0313) what came for an account while no stream of ours was alive, each
// message once, and asks archives what arrived of what was sent.
//
// The parts, from the top:
//
//   - Archive is the account's archive: what is behind the place where we are, at each login and while another client of the
//     account may take messages.
//   - service is what the server said of it: that there is one, and what is archived (XEP-0441).
//   - Place is how far it was taken, with the cursor that goes into the journal with each message.
//   - Streams are the XEP-0198 streams of which it is known how far their login got.
//   - queries asks for pages and takes their results; passOver remembers messages that are too large to be read.
//   - Search looks for what was sent.
//
// It does not know what a message is for: who logs in (Login) takes it. Rooms are asked by Archive.Room.
package mam
