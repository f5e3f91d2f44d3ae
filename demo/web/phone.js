// One phone: its chats, its messages and its two wires. It knows nothing of how it looks.

import { chatOf, growingClock, identity, isAbout, isNotice, makeEnvelope, readEnvelope } from "./envelope.js";
import { Outbox } from "./outbox.js";
import { MQTTWire, XMPPWire } from "./wires.js";

export class Phone extends EventTarget {
  constructor(config, me, store) {
    super();
    this.me = me;
    this.config = config;
    this.store = store;
    this.chats = new Map();
    this.messages = new Map(); // by identity
    this.wires = { xmpp: "down", mqtt: "down" };
    this.on = true;
    this.clock = growingClock();
    const changed = (m) => this.#changed(m);
    this.outboxes = {
      xmpp: new Outbox((e) => this.xmpp.send(e, String(e.timeStamp)), changed),
      mqtt: new Outbox((e) => this.mqtt.send(`${config.textPrefix}/${e.to}`, e), changed),
    };
    for (const p of config.people) if (p.landline !== me.landline) this.#chat(p.landline, p.name, false);
    for (const g of config.groups) this.#chat(g.jid, g.name, true);
    this.#chat(config.friend.landline, config.friend.name, false);
    this.current = this.chats.get(me.opens) ?? [...this.chats.values()][0];
    this.#wire();
    this.#recall();
  }

  /** Plugs the phone in or out. */
  power(on) {
    this.on = on;
    for (const wire of [this.xmpp, this.mqtt]) on ? wire.open() : wire.close();
    this.#tell("wires");
  }

  open(chat) {
    this.current = chat;
    chat.unread = 0;
    this.#tell("chats");
  }

  write(text) {
    const envelope = makeEnvelope(this.me, this.current, text, this.clock());
    const m = this.#keep(envelope, this.current, { own: true });
    this.#outbox(envelope).add(m);
  }

  waiting() {
    return Object.values(this.outboxes).flatMap((box) => box.open).filter((m) => m.status === "queued").length;
  }

  name(landline) {
    return [...this.config.people, this.config.friend].find((p) => p.landline === landline)?.name;
  }

  /** Who has a phone is written to by XMPP, and the relay publishes it. The friend has none: she is written to by MQTT. */
  #outbox(envelope) {
    return envelope.to === this.config.friend.landline ? this.outboxes.mqtt : this.outboxes.xmpp;
  }

  #wire() {
    const { config, me } = this;
    const state = (wire) => (s) => {
      this.wires[wire] = s;
      s === "up" ? this.outboxes[wire].connected() : this.outboxes[wire].disconnected();
      this.#tell("wires");
    };
    this.xmpp = new XMPPWire(
      { url: config.xmppURL, jid: `${me.landline}@${config.domain}`, password: me.password, relay: config.relayJID },
      { state: state("xmpp"), heard: (p) => this.#heard(p, "XMPP"), refused: (...a) => this.#refused(...a) },
    );
    this.mqtt = new MQTTWire(
      { url: config.mqttURL, clientId: me.landline, username: me.landline, password: me.password, topics: [config.prefix, config.textPrefix].map((p) => `${p}/${me.landline}`) },
      { state: state("mqtt"), heard: (p) => this.#heard(p, "MQTT") },
    );
    setInterval(() => Object.values(this.outboxes).forEach((box) => box.pump()), 1_000);
  }

  #heard(payload, via) {
    const e = readEnvelope(payload);
    if (!e) return;
    if (isNotice(e)) this.#noticed(e);
    else this.#received(e, via);
  }

  #noticed(e) {
    if (String(e.from) !== this.me.landline) return;
    const known = this.messages.get(identity(e)) ?? [...this.messages.values()].find((m) => m.own && isAbout(e, m.envelope));
    if (known) {
      this.#outbox(known.envelope).settle(known, e.status, e.reason);
      return;
    }
    if (e.content === undefined) return; // of another device of mine, and it does not say what was written
    // Written in my name by another device of mine: it belongs into the chat all the same.
    const m = this.#keep(e, this.#chatFor(e), { own: true, via: "elsewhere" });
    m.status = e.status;
    m.reason = e.reason ?? "";
    this.#changed(m);
  }

  #received(e, via) {
    const known = this.messages.get(identity(e));
    if (known) { // the same message by the other wire
      if (!known.via.includes(via)) known.via.push(via);
      this.#changed(known);
      return;
    }
    if (String(e.from) === this.me.landline) return;
    const chat = this.#chatFor(e);
    if (chat !== this.current) chat.unread++;
    this.#keep(e, chat, { own: false, via });
  }

  #refused(id, wait, text) {
    const outbox = this.outboxes.xmpp;
    const m = outbox.open.find((m) => String(m.envelope.timeStamp) === id);
    if (!m) return;
    if (wait) outbox.postpone(m);
    else outbox.settle(m, "failed", text);
  }

  #chatFor(e) {
    const id = chatOf(e, this.me.landline);
    const name = e.groupJid ? e.groupName : String(e.from) === this.me.landline ? "" : e.name;
    return this.chats.get(id) ?? this.#chat(id, String(name || id), Boolean(e.groupJid));
  }

  #chat(id, name, group) {
    const chat = { id, name, group, messages: [], unread: 0 };
    this.chats.set(id, chat);
    return chat;
  }

  #keep(envelope, chat, { own, via }) {
    const m = { envelope, chat, own, via: via ? [via] : [], status: "", reason: "", at: Date.now() };
    this.messages.set(identity(envelope), m);
    chat.messages.push(m);
    this.#changed(m, "chats");
    return m;
  }

  #changed(m, what = "message") {
    this.#remember();
    this.dispatchEvent(new CustomEvent(what, { detail: m }));
    this.#tell("wires"); // how many wait
  }

  #tell(what) {
    this.dispatchEvent(new CustomEvent(what));
  }

  // A reload of the page keeps what was said, and what waits.
  #remember() {
    this.store.write([...this.messages.values()].map(({ envelope, chat, own, via, status, reason, at }) =>
      ({ envelope, chat: chat.id, name: chat.name, group: chat.group, own, via, status, reason, at })));
  }

  #recall() {
    for (const { envelope, chat: id, name, group, ...rest } of this.store.read()) {
      const chat = this.chats.get(id) ?? this.#chat(id, name, group);
      const m = { envelope, chat, ...rest };
      this.messages.set(identity(envelope), m);
      chat.messages.push(m);
      if (m.own && !["sent", "received", "failed"].includes(m.status)) this.#outbox(envelope).add(m);
    }
  }
}
