// The page: login, frame, and one view at a time.

import { ask, onExpired } from './api.js';
import { deadLetters, waiting } from './deliveries.js';
import { toasts } from './dialog.js';
import { fill, h, icon, mark, put } from './dom.js';
import { few, lang, languages, setLanguage, t } from './i18n.js';
import { listen, live } from './live.js';
import { log } from './log.js';
import { overview } from './overview.js';
import { settings } from './settings.js';
import { trace } from './trace.js';

const VIEWS = { overview, waiting, dead: deadLetters, trace, settings, log };
const TITLES = { overview: 'Overview', waiting: 'Waiting', dead: 'Dead letters', trace: 'Trace', settings: 'Settings', log: 'Log' };
const THEME = 'chatrelay-theme';

let session; // {role}; undefined: nobody has logged in
let stop = new AbortController(); // ends what the view shown listens to
let frame = new AbortController(); // the same for the frame around it

function theme(to) {
  try {
    if (to !== undefined) localStorage.setItem(THEME, to);
    to ??= localStorage.getItem(THEME) ?? 'auto';
  } catch {
    to ??= 'auto';
  }
  if (to === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = to;
  return to;
}

// choices are the language and the colours.
function choices() {
  const language = h('select', { 'aria-label': t('Language'), class: 'language', on: { change: (event) => {
    setLanguage(event.target.value);
    draw();
    document.querySelector('.language').focus();
  } } },
    languages().map(([value, name]) => h('option', { value, lang: value, selected: value === lang() }, name)));
  const now = theme();
  const colours = h('select', { 'aria-label': t('Colours'), on: { change: (event) => theme(event.target.value) } },
    ['auto', 'light', 'dark'].map((value) => h('option', { value, selected: value === now }, t('theme ' + value))));
  return h('div', { class: 'choices' }, language, colours);
}

function login() {
  const wrong = h('p', { class: 'bad', role: 'alert' });
  const token = h('input', { id: 'token', type: 'password', name: 'password', autocomplete: 'current-password', required: true, spellcheck: 'false' });
  const go = h('button', { type: 'submit', class: 'button primary' }, t('Log in'));
  const form = h('form', { method: 'post', class: 'card login', on: { submit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    put(wrong, '');
    try {
      session = await ask('login', { token: token.value });
      draw();
    } catch (error) {
      put(wrong, error.message);
      go.disabled = false;
      token.select();
    }
  } } }, mark(), h('h1', {}, t('chatrelay console')), h('p', { class: 'note' }, t('login note')),
  h('input', { type: 'text', name: 'username', value: 'chatrelay', autocomplete: 'username', class: 'hush', tabindex: '-1', 'aria-hidden': 'true', readonly: true }),
  h('label', { for: 'token' }, t('Token')), token, wrong, go);
  fill(document.body, h('main', { class: 'door' }, form, choices()));
  document.title = t('Log in') + ' · chatrelay';
  token.focus();
}

function shell() {
  const badge = Object.fromEntries(['waiting', 'dead'].map((name) => [name, h('span', { class: 'badge' })]));
  const link = (name) => h('a', { href: '#/' + name, data: { view: name } }, icon(name), h('span', {}, t('nav.' + name)), badge[name]);
  const pill = h('span', { class: 'pill' });
  const lost = h('p', { class: 'lost', role: 'status' });
  const role = session.role === 'reader' && h('span', { class: 'tag' }, t('read-only'));
  const leave = h('button', { type: 'button', class: 'button plain', on: { click: async () => {
    await ask('logout', {}).catch(() => {});
    expire();
  } } }, icon('out'), h('span', {}, t('Log out')));
  fill(document.body,
    h('a', { class: 'skip', href: '#main', on: { click: (event) => { event.preventDefault(); document.querySelector('#main h1')?.focus(); } } }, t('Skip to content')),
    h('header', { class: 'top' }, h('a', { class: 'brand', href: '#/overview' }, mark(), h('span', {}, 'chatrelay')), pill, role,
      h('div', { class: 'menu' }, choices(), leave)),
    h('nav', { class: 'nav', 'aria-label': t('Views') }, Object.keys(VIEWS).map(link)),
    h('main', { id: 'main' }, lost, h('div', { class: 'stage' })), toasts());
  const tell = () => {
    const s = live.state;
    if (s) {
      const kind = !s.ready.ok ? 'bad' : s.ready.warnings?.length ? 'warn' : 'good';
      pill.dataset.kind = live.connected ? kind : 'off';
      put(pill, live.connected ? t('ready ' + kind) : t('No connection'));
      for (const [name, n] of [['waiting', s.store.pending], ['dead', s.dead_letters]]) {
        put(badge[name], n > 0 ? few(n) : '');
      }
    }
    put(lost, live.trouble === '' ? '' : t('connection ' + live.trouble));
  };
  listen(['state', 'connection'], tell, frame.signal);
  tell();
}

function show() {
  stop.abort();
  stop = new AbortController();
  const name = location.hash.slice(2) in VIEWS ? location.hash.slice(2) : 'overview';
  for (const a of document.querySelectorAll('.nav a')) {
    if (a.dataset.view === name) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  document.title = t(TITLES[name]) + ' · chatrelay';
  const stage = document.querySelector('.stage');
  fill(stage, VIEWS[name](stop.signal, session));
  return stage;
}

function draw() {
  stop.abort();
  frame.abort();
  frame = new AbortController();
  for (const box of document.querySelectorAll('dialog[open]')) box.close();
  if (!session) {
    login();
    return;
  }
  shell();
  show();
  live.open();
}

function expire() {
  session = undefined;
  live.close();
  draw();
}

addEventListener('hashchange', () => {
  if (!session) return;
  for (const box of document.querySelectorAll('dialog[open]')) box.close();
  show().querySelector('h1').focus();
  scrollTo(0, 0);
});

theme();
const ended = () => {
  if (session) expire();
};
onExpired(ended);
live.addEventListener('expired', ended);
ask('session').then((answer) => { session = answer.role ? answer : undefined; }, () => {}).finally(draw);
