// Package stanza has what all of xmppside needs of XMPP stanzas: an element that is read whole, attributes and text as they
// are written, the parts of an address, and the errors in answers. It knows no room, no archive and no connection.
package stanza
