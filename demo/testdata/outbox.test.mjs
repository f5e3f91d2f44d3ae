// Run by page_test.go with "node --test".
import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox, RETRY_MS } from "../web/outbox.js";

function rig() {
  const r = { wire: [], works: true, time: 1_000_000 };
  r.box = new Outbox((e) => { if (r.works) r.wire.push(e); return r.works; }, () => {}, () => r.time);
  r.write = (envelope) => { const entry = { envelope, status: "", reason: "" }; r.box.add(entry); return entry; };
  return r;
}

test("while the wire is down nothing goes out; then everything does, in order", () => {
  const r = rig();
  const a = r.write("a");
  r.write("b");
  assert.deepEqual([r.wire, a.status], [[], "queued"]);
  r.box.connected();
  assert.deepEqual([r.wire, a.status], [["a", "b"], "sending"]);
});

test("a wire that fails in the middle keeps the rest", () => {
  const r = rig();
  r.works = false;
  const a = r.write("a");
  r.box.connected();
  assert.equal(a.status, "queued");
  r.works = true;
  r.box.pump();
  assert.deepEqual(r.wire, ["a"]);
});

test("without an answer the same envelope goes out again, after a while", () => {
  const r = rig();
  r.box.connected();
  r.write("a");
  r.time += RETRY_MS - 1;
  r.box.pump();
  assert.deepEqual(r.wire, ["a"]);
  r.time += 1;
  r.box.pump();
  assert.deepEqual(r.wire, ["a", "a"]);
});

test("what had no answer goes out again after a reconnect", () => {
  const r = rig();
  r.box.connected();
  const a = r.write("a");
  r.box.disconnected();
  assert.equal(a.status, "queued");
  r.box.connected();
  assert.deepEqual([r.wire, a.status], [["a", "a"], "sending"]);
});

for (const status of ["sent", "failed"]) {
  test(`${status} settles it for good`, () => {
    const r = rig();
    r.box.connected();
    const a = r.write("a");
    r.box.settle(a, status, "because");
    r.time += 10 * RETRY_MS;
    r.box.disconnected();
    r.box.connected();
    r.box.settle(a, "delayed");
    assert.deepEqual([r.wire, a.status, a.reason, r.box.open.length], [["a"], status, "because", 0]);
  });
}

test("what was sent may be received, and nothing else", () => {
  const r = rig();
  r.box.connected();
  const a = r.write("a");
  r.box.settle(a, "sent");
  r.box.settle(a, "received");
  assert.equal(a.status, "received");
  r.box.settle(a, "failed");
  assert.equal(a.status, "received");
});

test("delayed: the relay has it, so it is sent again only after a reconnect", () => {
  const r = rig();
  r.box.connected();
  const a = r.write("a");
  r.box.settle(a, "delayed");
  r.time += 10 * RETRY_MS;
  r.box.pump();
  assert.deepEqual(r.wire, ["a"]);
  r.box.disconnected();
  assert.equal(a.status, "delayed");
  r.box.connected();
  r.box.settle(a, "sent");
  assert.deepEqual([r.wire, a.status], [["a", "a"], "sent"]);
});

test("asked to wait, the next try is one retry away", () => {
  const r = rig();
  r.box.connected();
  const a = r.write("a");
  r.box.postpone(a);
  r.box.pump();
  assert.deepEqual([r.wire, a.status], [["a"], "queued"]);
  r.time += RETRY_MS;
  r.box.pump();
  assert.deepEqual(r.wire, ["a", "a"]);
});
