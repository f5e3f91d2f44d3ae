// Package mqttside is the counter towards the MQTT broker: it takes what is published to inboxes and
// publishes what the journal says, each exactly once towards the broker.
//
// It speaks MQTT 3.1.1 through paho.mqtt.golang. paho frames packets, pings and resumes; everything that
// decides whether a message is lost or doubled is ours:
//
//   - wire is the connection under paho. It sees each packet before paho does, and lets bytes out only when
//     the journal has committed what they stand for.
//   - outbox is the view of the bound legs that paho resumes from; it closes a leg on the real acknowledgement.
//   - rows remember which inbound packet ids the journal has, so that a redelivery is acknowledged, not offered.
//   - each connection (link) has a paho client of its own. Nothing that takes a packet id is sent before
//     what was resumed has been acknowledged, so ids cannot collide.
//   - brokers is what each broker address is known to take: level, QoS, in-flight limit. limits asks for it before
//     each CONNECT, in a login beside the relay; sidelogin is how such logins leave the relay's session alone.
//   - a CONNECT without an answer leaves it open whether the session is still ours; checkSession finds out, and where it
//     cannot, what the broker had taken in part goes out again, counted as maybe_duplicate.
//
// It knows topics and packet ids; it does not know envelopes, routes or the other side. internal/app makes it
// and runs it.
package mqttside
