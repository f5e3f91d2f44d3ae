// Run by page_test.go with "node --test".
import assert from "node:assert/strict";
import { test } from "node:test";
import { chatOf, growingClock, identity, isAbout, isNotice, makeEnvelope, readEnvelope } from "../web/envelope.js";

const anna = { landline: "1001", name: "Anna" };
const ben = { id: "1002", name: "Ben", group: false };
const family = { id: "family@conference.chat.test", name: "Family", group: true };

test("a direct envelope", () => {
  const e = makeEnvelope(anna, ben, "hi", 7);
  assert.deepEqual([e.chatType, e.from, e.to, e.groupJid, e.content, e.timeStamp], [1, "1001", "1002", "", "hi", 7]);
});

test("a group envelope", () => {
  const e = makeEnvelope(anna, family, "hi", 7);
  assert.deepEqual([e.chatType, e.to, e.groupJid, e.groupName], [2, "", family.id, "Family"]);
});

test("what is no envelope is null, and never throws", () => {
  const bad = ["null", "", "[]", "1", "{", '"x"', "{}", '{"content":1,"from":"1001"}', '{"content":"x"}', '{"content":"x","from":{}}'];
  for (const text of bad) assert.equal(readEnvelope(() => text), null, text);
  assert.equal(readEnvelope(() => { throw new Error("invalid UTF-8"); }), null);
  assert.equal(readEnvelope(() => '{"content":"x","from":1001}').content, "x");
});

test("identity: number and text forms agree, copies of a group message agree", () => {
  const e = makeEnvelope(anna, ben, "hi", 7);
  assert.equal(identity(e), identity({ ...e, from: 1001, timeStamp: "7", status: "sent", statusTime: 9 }));
  for (const other of [{ content: "ho" }, { timeStamp: 8 }, { to: "1003" }, { from: "1003" }]) {
    assert.notEqual(identity(e), identity({ ...e, ...other }));
  }
  const g = makeEnvelope(anna, family, "hi", 7);
  assert.equal(identity(g), identity({ ...g, to: "1002" }));
  assert.notEqual(identity(g), identity({ ...e, to: "" }));
});

test("a notice has a known status and a time", () => {
  assert.ok(isNotice({ status: "delayed", statusTime: 1 }));
  assert.ok(!isNotice({ status: "sent" }));
  assert.ok(!isNotice({ status: "busy", statusTime: 1 }));
});

test("a notice about what went by MQTT has no content, and names the message", () => {
  const e = makeEnvelope(anna, ben, "hi", 7);
  const notice = readEnvelope(() => '{"from":"1001","to":"1002","timeStamp":7,"status":"received","statusTime":9}');
  assert.ok(isNotice(notice) && isAbout(notice, e));
  for (const other of [{ timeStamp: 8 }, { to: "1003" }, { from: "1003" }]) assert.ok(!isAbout({ ...notice, ...other }, e));
});

test("the chat of an envelope", () => {
  const e = makeEnvelope(anna, ben, "hi", 7);
  assert.equal(chatOf(e, "1001"), "1002");
  assert.equal(chatOf(e, "1002"), "1001");
  assert.equal(chatOf(makeEnvelope(anna, family, "hi", 7), "1002"), family.id);
});

test("the clock grows although time stands still or goes back", () => {
  const times = [5, 5, 4, 9];
  const clock = growingClock(() => times.shift());
  assert.deepEqual([clock(), clock(), clock(), clock()], [5, 6, 7, 9]);
});
