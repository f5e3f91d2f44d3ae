// How a phone looks. Everything that came over a wire is set as text, never as markup.

const STATUS = {
  queued: ["i-clock", "Waits in the page"],
  sending: ["i-tick", "With the chat server"],
  sent: ["i-ticks", "Sent: it is in the inbox, or with the friend’s server"],
  received: ["i-got", "Received: the friend’s client has it"],
  delayed: ["i-clock", "Delayed: the relay keeps it and goes on trying"],
  failed: ["i-alert", "Failed"],
};
const WIRE = { up: "connected", wait: "connecting", down: "off" };
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
const useIcon = (svg, id) => svg.querySelector("use").setAttribute("href", `#${id}`);

/** Puts the friend's client on the page: it is a page of its own, which knows nothing of this one. */
export function showClient({ friend, domain }, parent) {
  const el = clone("client");
  el.querySelector(".avatar").textContent = initial(friend.name);
  el.querySelector("h2").textContent = friend.name;
  el.querySelector(".number").textContent = `${friend.landline}@${domain}`;
  parent.append(el);
}

/** Puts a phone on the page. */
export function show(phone, parent) {
  const view = new View(phone);
  parent.append(view.el);
}

class View {
  constructor(phone) {
    this.phone = phone;
    this.rows = new WeakMap(); // message to its row
    this.el = clone("phone");
    this.$ = (selector) => this.el.querySelector(selector);
    this.#frame();
    this.#composer();
    this.#scroll();
    phone.addEventListener("chats", () => this.#chats());
    phone.addEventListener("message", (e) => this.#update(e.detail));
    phone.addEventListener("wires", () => this.#wires());
    this.#chats();
    this.#wires();
  }

  #frame() {
    const { me } = this.phone;
    const title = this.$("h2");
    title.textContent = me.name;
    title.id = `name-${me.landline}`;
    this.el.setAttribute("aria-labelledby", title.id);
    this.el.dataset.landline = me.landline;
    this.el.dataset.tone = tone(this.phone, me.landline);
    this.$(".avatar").textContent = initial(me.name);
    this.$(".number").textContent = me.landline;
    this.$(".chats").setAttribute("aria-label", `${me.name}’s chats`);
    this.$(".log").setAttribute("aria-label", `${me.name}’s messages`);
    this.$(".plug").addEventListener("click", () => this.phone.power(!this.phone.on));
  }

  #composer() {
    const form = this.$(".composer");
    const field = this.$("textarea");
    const fit = () => {
      field.style.height = "auto";
      field.style.height = `${Math.min(field.scrollHeight, 120)}px`;
    };
    field.addEventListener("input", fit);
    field.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      form.requestSubmit();
    });
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      const text = field.value.trim();
      if (text === "") return;
      field.value = "";
      fit();
      this.phone.write(text);
      field.focus();
    });
  }

  /** The newest message stays in sight, unless the reader has scrolled away from it. */
  #scroll() {
    const log = this.$(".log");
    this.atEnd = true;
    log.addEventListener("scroll", () => { this.atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60; });
    new ResizeObserver(() => { if (this.atEnd) log.scrollTop = log.scrollHeight; }).observe(log);
  }

  #wires() {
    const { phone } = this;
    for (const li of this.el.querySelectorAll(".wire")) {
      const state = phone.wires[li.dataset.wire];
      li.dataset.state = state;
      li.querySelector(".hush").textContent = ` ${WIRE[state]}`;
    }
    const plug = this.$(".plug");
    plug.setAttribute("aria-pressed", String(!phone.on));
    plug.setAttribute("aria-label", `Take ${phone.me.name}’s phone off the net`);
    plug.title = phone.on ? "Go offline" : "Go online";
    const up = phone.wires.xmpp === "up" && phone.wires.mqtt === "up";
    this.el.dataset.state = !phone.on ? "off" : up ? "up" : "wait";
    setText(this.$(".banner"), banner(phone, up));
  }

  #chats() {
    const { phone } = this;
    const nav = this.$(".chats");
    const focused = nav.contains(document.activeElement) ? document.activeElement.dataset.chat : undefined;
    nav.replaceChildren(...[...phone.chats.values()].map((chat) => this.#chat(chat)));
    if (focused) [...nav.children].find((el) => el.dataset.chat === focused)?.focus();
    this.$("textarea").placeholder = `Message ${phone.current.name}`;
    this.$(".field .hush").textContent = `${phone.me.name} writes to ${phone.current.name}`;
    this.#log();
  }

  #chat(chat) {
    const el = clone("chat");
    const current = chat === this.phone.current;
    el.dataset.chat = chat.id;
    el.dataset.tone = chat.group ? "group" : tone(this.phone, chat.id);
    el.querySelector(".chat-name").textContent = chat.name;
    const mini = el.querySelector(".mini");
    if (chat.group) mini.append(groupIcon());
    else mini.textContent = initial(chat.name);
    if (current) el.setAttribute("aria-current", "true");
    const badge = el.querySelector(".badge");
    badge.hidden = chat.unread === 0;
    badge.textContent = String(chat.unread);
    badge.setAttribute("aria-label", `${chat.unread} unread`);
    el.addEventListener("click", () => this.phone.open(chat));
    return el;
  }

  /** Brings the list up to the current chat: new rows are added, so that a screen reader says only them. */
  #log() {
    const log = this.$(".log");
    const list = this.$(".log ol");
    const chat = this.phone.current;
    if (list.dataset.chat !== chat.id) {
      list.replaceChildren();
      list.dataset.chat = chat.id;
      this.atEnd = true;
    }
    const news = chat.messages.slice(list.children.length);
    for (const m of news) list.append(this.#row(m, chat));
    list.dataset.empty = chat.messages.length ? "" : `Nothing said yet. Write to ${chat.name}.`;
    if (news.at(-1)?.own) this.atEnd = true;
    if (this.atEnd) log.scrollTop = log.scrollHeight;
  }

  #row(m, chat) {
    const el = clone("message");
    const before = chat.messages[chat.messages.indexOf(m) - 1];
    const from = String(m.envelope.from);
    el.dataset.own = String(m.own);
    const newDay = before === undefined || day(before.at) !== day(m.at);
    if (newDay) el.dataset.day = day(m.at) === day(Date.now()) ? "Today" : day(m.at);
    el.dataset.follows = String(!newDay && String(before.envelope.from) === from);
    el.dataset.tone = tone(this.phone, from);
    const speaker = el.querySelector(".speaker");
    speaker.textContent = m.own ? this.phone.me.name : this.phone.name(from) ?? String(m.envelope.name || from);
    if (m.own || !chat.group) speaker.classList.add("hush");
    el.querySelector(".text").textContent = m.envelope.content;
    const at = new Date(m.at);
    const time = el.querySelector("time");
    time.dateTime = at.toISOString();
    time.textContent = TIME.format(at);
    time.title = FULL.format(at);
    this.rows.set(m, el);
    this.#update(m);
    return el;
  }

  #update(m) {
    const el = this.rows.get(m);
    if (!el) return;
    el.querySelector(".via").textContent = m.own ? m.via.join("") : `via ${m.via.join(" and ")}`;
    el.dataset.via = m.via.join(" ");
    if (!m.own) return;
    el.dataset.status = m.status;
    const [icon, words] = STATUS[m.status] ?? STATUS.queued;
    const mark = el.querySelector(".mark");
    useIcon(mark, icon);
    mark.querySelector(".icon").classList.toggle("wide", icon === "i-ticks");
    mark.title = words;
    mark.querySelector(".hush").textContent = words;
    const reason = el.querySelector(".reason");
    reason.hidden = m.status !== "failed";
    reason.textContent = m.reason || "It could not be delivered.";
  }
}

function banner(phone, up) {
  const n = phone.waiting();
  const waits = n === 0 ? "" : ` ${n} ${n === 1 ? "message waits" : "messages wait"} here.`;
  if (!phone.on) return `Offline.${waits}`;
  if (!up) return `Connecting…${waits}`;
  return "";
}

function day(at) {
  return DAY.format(new Date(at));
}

function setText(el, text) {
  if (el.textContent !== text) el.textContent = text; // a live region speaks at each change
}

function groupIcon() {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("class", "icon");
  const use = document.createElementNS(ns, "use");
  use.setAttribute("href", "#i-group");
  svg.append(use);
  return svg;
}

function initial(name) {
  return [...name][0]?.toUpperCase() ?? "?";
}

function tone(phone, landline) {
  const { people, friend } = phone.config;
  const i = [...people, friend].findIndex((p) => p.landline === landline);
  return i < 0 ? "other" : String(i + 1);
}
