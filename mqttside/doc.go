// Package mqttside is the counter towards the MQTT broker: it takes what is published to inboxes and
// publishes what the journal says, each exactly once towards the broker.
//
// Package session keeps the promise on the wire: packet ids, order, and that nothing leaves before the journal has it. What
// is decided here is which broker, what it can do, and what its word is worth:
//
//   - link is one login in the relay's session; loop makes one after the other.
//   - inbox holds what came until the journal has it; acks.go acknowledges it, in order. What the journal has is
//     acknowledged, not offered again.
//   - trust settles what the broker acknowledges, once a probe has shown that it passes on what it takes.
//   - talk is a login beside the relay's, listener one that stays for the probes.
//   - brokers is what each broker address is known to take: level, QoS, in-flight limit. By MQTT 5 a login tells; where the
//     relay goes in by 3.1.1, limits asks in a login beside it. sidelogin is how such logins leave the relay's session alone.
//   - refusals is what follows where a broker says, by MQTT 5, that it does not take a message.
//   - a CONNECT without an answer leaves it open whether the session is still ours; checkSession finds out, and where it
//     cannot, what the broker had taken in part goes out again, counted as maybe_duplicate.
//
// It knows topics and packet ids; it does not know envelopes, routes or the other side. internal/app makes it
// and runs it.
package mqttside
