// Package session is an MQTT client session for a client that must not lose or double a message. It speaks MQTT 5 and
// 3.1.1, with or without the bridge bit, over TCP, TLS and WebSocket. It knows nothing of what messages mean; where things are
// stored is the business of a [Journal].
//
// A [Session] is the lasting thing: what is in flight to the broker, as a view of what the journal has bound, and the
// packet ids of what came in. A [Conn] is one login; it carries a session for a while, or none, where a client only wants
// to look. One goroutine of a Conn reads and one writes; there are no others.
//
//	nc, err := session.Dial(ctx, url, tlsConfig, tcp)
//	c, err := session.Login(ctx, nc, session.Options{…, Handler: h}) // CONNECT, CONNACK
//	s.Resume(c, state, false, most)                                  // what is in flight goes first
//	c.Start()
//	…                                                                // s.Empty(): all that was resumed is acknowledged
//	s.Send(c, session.Message{…, Tag: ref})                          // bound, then in line
//	…
//	c.Disconnect(session.Parting{Why: why}); s.End(c); c.Join()
//
// What holds, and what it is for:
//
//   - A packet leaves only when every ticket that was raised before it is committed. So the broker never has what the
//     journal does not know. A commit that fails, or takes longer than half the ping timeout, ends the connection, and
//     gives back what was not written.
//   - A message is bound before its PUBLISH and released before its PUBREL leaves, under one packet id for all its life, in
//     this process or the next (MQTT-4.3.3, MQTT-4.4.0-1). After PUBREC its PUBLISH never leaves again.
//   - Resumed packets leave before anything new, in order of binding, and no more at once than the broker takes.
//   - A message from the broker is acknowledged by [Conn.Ack] alone. PUBACK and PUBCOMP leave in order of arrival.
//   - What an old connection says does not count on the next one.
//
// Locks: Session, then Conn. All of a Journal but Wait runs under the Session's lock: it only enqueues.
package session
