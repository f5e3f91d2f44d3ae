// Starts the page: one phone per landline, and the relay's switch.

import { Phone } from "./phone.js";
import { show, showClient } from "./view.js";

const POLL_MS = 1_000;
const RELAY = { ready: "ready", starting: "starting", stopped: "stopped", unknown: "no answer" };
const $ = (id) => document.getElementById(id);

/** What one phone remembers over a reload. A new run of the demo starts afresh. */
function storeOf(run, landline) {
  const key = `chatrelay ${run} ${landline}`;
  return {
    read: () => JSON.parse(sessionStorage.getItem(key) ?? "[]"),
    write: (messages) => {
      try {
        sessionStorage.setItem(key, JSON.stringify(messages));
      } catch {
        // No room: a reload forgets the chat, but it goes on.
      }
    },
  };
}

function showRelay(state) {
  const stop = $("relay");
  if (stop.dataset.state === state) return;
  stop.dataset.state = state;
  $("relay-word").textContent = RELAY[state];
  const button = $("relay-switch");
  button.disabled = state === "unknown";
  button.textContent = state === "stopped" ? "Start the relay" : "Kill the relay";
  button.title = state === "stopped" ? "" : "kill -9: what it has acknowledged is not lost";
}

async function askRelay(action) {
  try {
    const answer = await fetch(action ? `/relay/${action}` : "/relay", { method: action ? "POST" : "GET" });
    showRelay((await answer.json()).state);
  } catch {
    showRelay("unknown");
  }
}

async function watchRelay() {
  await askRelay();
  setTimeout(watchRelay, POLL_MS);
}

function flipTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

async function main() {
  const config = await (await fetch("/config.json")).json();
  $("chat-server").title = config.xmppURL;
  $("broker").title = config.mqttURL;
  $("command").textContent = config.command;
  for (const person of config.people) {
    const phone = new Phone(config, person, storeOf(config.run, person.landline));
    show(phone, $("phones"));
    phone.power(true);
  }
  showClient(config, $("phones"));
  $("theme").addEventListener("click", flipTheme);
  $("relay-switch").addEventListener("click", () => askRelay($("relay").dataset.state === "stopped" ? "start" : "kill"));
  await watchRelay();
}

main().catch((err) => {
  $("trouble").hidden = false;
  $("trouble").textContent = `The page could not start: ${err.message}`;
});
