// The two connections of a phone: Strophe.js to the chat server for writing, Paho JS to the broker for
// listening. Each reconnects by itself until it is closed, and tells its owner "up", "wait" or "down".

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** Runs one connection after the other, with growing pauses. dial(lost) returns how to hang up. */
class Line {
  constructor(dial, state) {
    this.dial = dial;
    this.state = state;
    this.wanted = false;
    this.round = 0; // callbacks of an earlier connection are not listened to
    this.pause = FIRST_PAUSE_MS;
  }

  open() {
    if (this.wanted) return;
    this.wanted = true;
    this.#connect();
  }

  close() {
    this.wanted = false;
    this.round++;
    clearTimeout(this.timer);
    this.hangUp?.();
    this.hangUp = undefined;
    this.state("down");
  }

  #connect() {
    const round = ++this.round;
    const mine = (f) => (...args) => { if (round === this.round) f(...args); };
    this.state("wait");
    this.hangUp = this.dial(
      mine(() => { this.pause = FIRST_PAUSE_MS; this.state("up"); }),
      mine(() => this.#lost()),
    );
  }

  #lost() {
    this.round++;
    this.state("wait");
    this.timer = setTimeout(() => this.#connect(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
  }
}

/** Writes by XMPP, and hears what the relay sends there. */
export class XMPPWire {
  constructor({ url, jid, password, relay }, { state, heard, refused }) {
    this.relay = relay;
    this.line = new Line((up, lost) => {
      const conn = new Strophe.Connection(url);
      conn.connect(jid, password, (status) => {
        if (status === Strophe.Status.CONNECTED) {
          conn.addHandler((stanza) => { this.#stanza(stanza, heard, refused); return true; }, null, "message");
          conn.send($pres()); // without presence the server stores messages instead of sending them
          conn.flush();
          this.conn = conn;
          up();
        } else if (status === Strophe.Status.DISCONNECTED || status === Strophe.Status.CONNFAIL) {
          if (this.conn === conn) this.conn = undefined;
          lost();
        } else if (status === Strophe.Status.AUTHFAIL) {
          conn.disconnect();
        }
      });
      return () => {
        if (this.conn === conn) this.conn = undefined;
        conn.disconnect("bye");
      };
    }, state);
  }

  open() { this.line.open(); }
  close() { this.line.close(); }

  /** Whether the envelope went on the wire. id comes back with an error. */
  send(envelope, id) {
    if (!this.conn?.connected) return false;
    this.conn.send($msg({ to: this.relay, type: "chat", id }).c("body").t(JSON.stringify(envelope)));
    this.conn.flush();
    return true;
  }

  #stanza(stanza, heard, refused) {
    const from = Strophe.getBareJidFromJid(stanza.getAttribute("from") ?? "");
    if (from !== this.relay) return;
    const child = (name) => [...stanza.children].find((c) => c.localName === name);
    if (stanza.getAttribute("type") === "error") {
      const error = child("error");
      const text = [...(error?.children ?? [])].find((c) => c.localName === "text");
      refused(stanza.getAttribute("id"), error?.getAttribute("type") === "wait", text?.textContent ?? "refused");
      return;
    }
    const body = child("body");
    if (body) heard(() => body.textContent);
  }
}

/** Listens to inboxes, and writes to those that no relay would publish to. */
export class MQTTWire {
  constructor({ url, clientId, username, password, topics }, { state, heard }) {
    this.line = new Line((up, lost) => {
      const client = new Paho.Client(url, clientId);
      client.onConnectionLost = lost;
      client.onMessageArrived = (m) => heard(() => m.payloadString);
      client.connect({
        userName: username,
        password,
        cleanSession: false, // the broker keeps what comes while this page is away
        keepAliveInterval: 20,
        timeout: 5,
        onSuccess: () => this.#subscribe(client, topics, up),
        onFailure: lost,
      });
      return () => { if (client.isConnected()) client.disconnect(); };
    }, state);
  }

  open() { this.line.open(); }
  close() { this.line.close(); }

  /** Whether the envelope went on the wire. */
  send(topic, envelope) {
    if (!this.client?.isConnected()) return false;
    this.client.send(topic, JSON.stringify(envelope), 2, false);
    return true;
  }

  #subscribe(client, [topic, ...more], up) {
    const next = () => {
      if (more.length > 0) return this.#subscribe(client, more, up);
      this.client = client;
      up();
    };
    client.subscribe(topic, { qos: 2, onSuccess: next, onFailure: () => client.disconnect() });
  }
}
