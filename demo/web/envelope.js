// The JSON envelope: how the page writes it, reads it and tells two messages apart. No DOM, no network.

const NOTICES = ["sent", "delayed", "failed", "received"];

/** The envelope of a new message from me into a chat. at is its time, and with the text its identity. */
export function makeEnvelope(me, chat, text, at) {
  return {
    chatType: chat.group ? 2 : 1,
    content: text,
    contentType: 0,
    from: me.landline,
    to: chat.group ? "" : chat.id,
    groupJid: chat.group ? chat.id : "",
    groupName: chat.group ? chat.name : "",
    timeStamp: at,
    name: me.name,
    photo: "",
  };
}

/**
 * The envelope in a payload, or null. It never throws: Paho JS drops the connection when a handler does,
 * and JSON null or invalid UTF-8 is enough for that.
 */
export function readEnvelope(payload) {
  let e;
  try {
    e = JSON.parse(payload());
  } catch {
    return null;
  }
  if (typeof e !== "object" || e === null || Array.isArray(e)) return null;
  if (!isLandline(e.from) || (typeof e.content !== "string" && !isNotice(e))) return null;
  return e;
}

function isLandline(v) {
  return (typeof v === "string" && v !== "") || Number.isSafeInteger(v);
}

/** What makes two envelopes the same message. The copies of a group message differ only in their "to". */
export function identity(e) {
  const group = e.groupJid || "";
  return JSON.stringify([String(e.from), group, group ? "" : String(e.to ?? ""), Number(e.timeStamp), e.content]);
}

/** Whether a notice without content, as the relay answers what came by MQTT, is about the envelope of mine. */
export function isAbout(notice, e) {
  return String(notice.from) === String(e.from) && String(notice.to) === String(e.to) && Number(notice.timeStamp) === Number(e.timeStamp);
}

/** The relay tells a sender what became of a message by sending its envelope, or what names it, back with a status. */
export function isNotice(e) {
  return NOTICES.includes(e.status) && e.statusTime !== undefined;
}

/** The id of the chat an envelope belongs to, seen from my phone. */
export function chatOf(e, me) {
  if (e.groupJid) return String(e.groupJid);
  return String(e.from) === me ? String(e.to) : String(e.from);
}

/** A clock whose readings grow: two messages of one millisecond need two times. */
export function growingClock(now = Date.now) {
  let last = 0;
  return () => (last = Math.max(last + 1, now()));
}
