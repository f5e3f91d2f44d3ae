// Package sm is XEP-0198 stream management on top of mellium.im/xmpp, for a client that must not lose a
// stanza: acknowledgements both ways, resumption after a broken connection, and resumption by a new
// process from what the old one had saved.
//
// A [Stream] is the lasting thing: the server's name for it, what was sent and is not acknowledged, what
// came in and is not yet durable. A [Connection] is one connection that carries it for a while. Only the newest
// Connection of a Stream may write. The package knows nothing of what stanzas mean; where things are stored is
// the business of a [Journal], which may be nil (then the stream survives connections but not the process).
//
// All that is written on a session goes through one queue: what [Stream.Send] is given and what mellium
// writes of its own accord (IQ replies, pings, joins). Each stanza gets the number it will have on the
// wire, is bound in the Journal under that number, and leaves only when the Journal says that this is
// committed. Where the server has no XEP-0198 the queue is the same and an XEP-0199 ping takes the place of
// <r/>: its answer proves that the server has read all before it. Nothing can be resumed then.
//
// Usage, one connection after the other:
//
//	saved := sm.State{Session: …, Queue: …}        // from the journal; zero: start anew
//	st := sm.New(sm.Config{Resource: "chatrelay", Journal: journal, Acked: func(done []sm.Stanza) {
//		for _, s := range done { journal.Close(bridge.Result{Ref: s.Tag.(bridge.Ref)}) } // only enqueue
//	}}, saved)
//	go dispatcher(st)                                 // st.Send(ctx, raw, ref) blocks while down or full
//
//	for ctx.Err() == nil {
//		nc, err := dial(ctx, st.Session().Location)   // XEP-0198 §5: location first, where there is one
//		l := st.Connection(nc)                           // takes the stream over; nc is the bare TCP connection
//		stop := context.AfterFunc(loginCtx, l.Close) // the one timeout that works with mellium
//		sess, err := xmpp.NewSession(context.WithoutCancel(ctx), me.Domain(), me, rw, state,
//			xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
//				return xmpp.StreamConfig{Features: []xmpp.StreamFeature{
//					xmpp.StartTLS(tlsCfg), l.SASL(xmpp.SASL("", pass, sasl.ScramSha256)), l.Bind()}}
//			}))                                       // rw: nc, or tls.Client(nc, …) for direct TLS
//		if err != nil || sess.State()&want != want || !stop() { l.Close(); continue } // and back off
//		go func() {                                // Serve must be running for IQs to be answered
//			if !l.Resumed() {
//				for _, s := range st.Lost() { … }  // ask the archive if s.Maybe, then Inflight.Unbind
//				// presence, joins, archive catch-up
//			}
//			st.Open(l)                             // from here on Send goes through
//		}()
//		end := l.Serve(sess, func(m sm.Handle, t xmlstream.TokenReadEncoder, start *xml.StartElement) {
//			// A record carries the row m.Session() in its transaction; its Ack calls m.Saved() on nil or a
//			// refusal, m.Redo() on any other error. Everything else: m.Done() when it is dealt with.
//		}, nil)                                    // returns when the connection is over, all goroutines ended
//		// end.Err, end.Condition ("conflict", "not-well-formed", …), end.Suspects → st.Single(true)
//	}
//	… l.Logout(ctx)                                // flush, <a/>, </stream:stream>, id thrown away
//
// Locks: callbacks (Journal.Bind, Journal.Save, Config.Acked) run under the Stream's lock, in order. They must only
// enqueue, and never call the Stream. Methods of Handle never wait. A handler runs on mellium's reading
// goroutine: it must not call Send (whose room only reading can make); it uses Reply, or t.
//
// A component (XEP-0114) logs in by [Component] in place of Connection.SASL and Connection.Bind.
//
// Left out: XEP-0198 for components (no server has it) and for the server's side.
package sm
