// What was written and has no answer yet. Strophe throws when it is told to send while it is down, and a
// stanza written just before a connection broke is gone without a word; so the page keeps each message
// and sends the same envelope again until the relay's notice comes. The relay knows the copy by its key.

export const RETRY_MS = 10_000;

export class Outbox {
  /** send(envelope) puts one on the wire and returns whether it did; changed(entry) is told of each new status. */
  constructor(send, changed, now = Date.now) {
    this.send = send;
    this.changed = changed;
    this.now = now;
    this.open = []; // entries without a final notice, in the order written
    this.up = false;
  }

  /** entry: { envelope, status, reason }. */
  add(entry) {
    entry.triedAt = 0;
    this.open.push(entry);
    this.#mark(entry, entry.status === "delayed" ? "delayed" : "queued");
    this.pump();
  }

  connected() {
    this.up = true;
    this.pump();
  }

  /** What had no answer when the wire broke goes out again, first of all, once it is back. */
  disconnected() {
    this.up = false;
    for (const entry of this.open) {
      entry.triedAt = 0;
      if (entry.status === "sending") this.#mark(entry, "queued");
    }
  }

  /** Sends what is due, in order. Called now and then, and after each change. */
  pump() {
    for (const entry of this.open) {
      if (!this.up) return;
      const waits = entry.status === "delayed" ? entry.triedAt > 0 : this.now() - entry.triedAt < RETRY_MS;
      if (waits) continue;
      if (!this.send(entry.envelope)) return;
      entry.triedAt = this.now();
      if (entry.status === "queued") this.#mark(entry, "sending");
    }
  }

  /** Takes a notice: sent, delayed or failed; or, of what was sent, received. */
  settle(entry, status, reason = "") {
    if (!this.open.includes(entry) && status !== "received") return;
    if (status !== "delayed") this.open = this.open.filter((e) => e !== entry);
    entry.reason = reason;
    this.#mark(entry, status);
  }

  /** The server asked to wait: the next try is one retry away. */
  postpone(entry) {
    if (!this.open.includes(entry)) return;
    entry.triedAt = this.now();
    this.#mark(entry, "queued");
  }

  #mark(entry, status) {
    entry.status = status;
    this.changed(entry);
  }
}
