// The two languages. The server has chosen one by Accept-Language; who switches it is remembered in this browser.

import { en } from './en.js';
import { zh } from './zh.js';

const KEY = 'chatrelay-language';
const TEXTS = { en, 'zh-CN': zh };

let language = remembered() ?? (document.documentElement.lang.startsWith('zh') ? 'zh-CN' : 'en');

function remembered() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept in TEXTS ? kept : undefined;
  } catch {
    return undefined; // a browser that keeps nothing
  }
}

export const languages = () => [['en', 'English'], ['zh-CN', '中文']];
export const lang = () => language;

export function setLanguage(to) {
  language = to;
  document.documentElement.lang = to;
  try {
    localStorage.setItem(KEY, to);
  } catch { /* it counts for this page, then */ }
}

// t is a text. {name} in it is replaced; of [one, more] the one for the number n is taken.
export function t(key, values = {}) {
  let text = TEXTS[language][key] ?? en[key] ?? key;
  if (Array.isArray(text)) text = text[new Intl.PluralRules(language).select(values.n) === 'one' ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? shown(values[name]) : all));
}

// has tells whether there is such a text.
export const has = (key) => key in en;

const shown = (value) => (typeof value === 'number' ? number(value) : String(value));

export const number = (n) => new Intl.NumberFormat(language).format(n);

// few is a number where there is little room.
export const few = (n) => (n < 10000 ? number(n) : new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 }).format(n));

// rate is messages a second, as exact as a person wants it.
export function rate(n) {
  const digits = n === 0 || n >= 100 ? 0 : n >= 10 ? 1 : 2;
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(n);
}

export function size(bytes) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) {
    bytes /= 1000;
    at++;
  }
  const digits = at === 0 || bytes >= 100 ? 0 : 1;
  return new Intl.NumberFormat(language, { style: 'unit', unit: units[at], unitDisplay: at === 0 ? 'narrow' : 'short', maximumFractionDigits: digits }).format(bytes);
}

const part = (n, unit, digits = 0) => new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'narrow', maximumFractionDigits: digits }).format(n);

// duration has two parts at most.
export function duration(seconds) {
  if (seconds < 0.9995) return part(seconds * 1000, 'millisecond', seconds < 0.01 ? 1 : 0);
  if (seconds < 10) return part(seconds, 'second', 1);
  const units = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];
  let rest = Math.round(seconds);
  const at = units.findIndex(([, long]) => rest >= long);
  const out = [];
  for (const [unit, long] of units.slice(at, at + 2)) {
    const n = Math.floor(rest / long);
    rest -= n * long;
    if (n > 0) out.push(part(n, unit));
  }
  return out.join(language === 'en' ? ' ' : '');
}

export const moment = (date) => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(date);
export const clock = (date) => new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).format(date);

// ago is how long since, in words.
export function ago(date, now = Date.now()) {
  const seconds = Math.max(0, (now - date) / 1000);
  return seconds < 1 ? t('just now') : t('ago', { time: duration(seconds < 60 ? Math.floor(seconds) : Math.floor(seconds / 60) * 60) });
}

// reason is what a fixed word of the relay means. Words that it made of a server's are shown as they are.
export function reason(word) {
  if (!word) return '';
  return has('reason.' + word) ? t('reason.' + word) : word.startsWith('bounce') ? t('reason.bounced') : word.replaceAll('_', ' ');
}

document.documentElement.lang = language;
