// The end of the log, as it grows.

import { heading } from './listing.js';
import { h, icon, put } from './dom.js';
import { clock, moment, t } from './i18n.js';
import { listen, live } from './live.js';

const LEVELS = ['debug', 'info', 'warn', 'error'];
const MOST = 1000;

export function log(signal) {
  const pane = h('div', { class: 'scroll log', role: 'log', 'aria-live': 'off', 'aria-label': t('Log'), tabindex: '0' });
  const empty = h('p', { class: 'empty' }, t('no lines'));
  let least = 1;
  let word = '';
  let paused = false;
  let newest = 0;

  const level = h('select', { id: 'l-level', on: { change: () => { least = LEVELS.indexOf(level.value); anew(); } } },
    LEVELS.map((name) => h('option', { value: name }, name)));
  level.value = 'info';
  const search = h('input', { id: 'l-word', type: 'search', autocomplete: 'off', spellcheck: 'false', placeholder: t('any'), on: { input: () => { word = search.value.toLowerCase(); anew(); } } });
  const pauseText = h('span', {}, t('Pause'));
  const pause = h('button', { type: 'button', class: 'button', 'aria-pressed': 'false', on: { click: () => {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    pause.replaceChildren(icon(paused ? 'play' : 'pause'), pauseText);
    put(pauseText, t(paused ? 'Go on' : 'Pause'));
    if (!paused) more();
  } } }, icon('pause'), pauseText);

  const fits = ({ line, gap }) => gap || (rank(line.level) >= least && (word === '' || JSON.stringify(line).toLowerCase().includes(word)));

  function anew() {
    pane.replaceChildren();
    newest = 0;
    more();
  }

  function more() {
    if (paused) return;
    const below = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
    const fresh = live.lines.filter((one) => one.n > newest);
    pane.append(...fresh.filter(fits).map(write));
    newest = live.lines.at(-1)?.n ?? 0;
    while (pane.childElementCount > MOST) pane.firstChild.remove();
    empty.hidden = pane.childElementCount > 0;
    if (below) pane.scrollTop = pane.scrollHeight;
  }

  listen(['log'], more, signal);
  more();
  requestAnimationFrame(() => { pane.scrollTop = pane.scrollHeight; });
  return h('div', { class: 'view tall' }, heading(t('Log'), t('log note')),
    h('div', { class: 'card flush' }, h('form', { class: 'tools', 'aria-label': t('Filter'), on: { submit: (event) => event.preventDefault() } },
      h('div', { class: 'field' }, h('label', { for: 'l-level' }, t('From level')), level), h('div', { class: 'field wide' }, h('label', { for: 'l-word' }, t('Contains')), search), pause),
    h('div', { class: 'listing' }, empty, pane)));
}

const rank = (level) => {
  const at = LEVELS.indexOf(level ?? 'info');
  return at < 0 ? LEVELS.length : at; // fatal, panic
};

// write shows one line: time, level, message, and its fields.
function write({ line, gap }) {
  if (gap) return h('div', { class: 'line gap' }, t('lines skipped', { n: gap }));
  const { time, level = 'info', message = '', ...fields } = line;
  const date = new Date(time);
  const good = !Number.isNaN(date.valueOf());
  return h('div', { class: `line level-${LEVELS.includes(level) ? level : 'error'}` },
    h('time', good ? { datetime: time, title: moment(date) } : {}, good ? clock(date) : ''), ' ', h('span', { class: 'level' }, level), ' ',
    h('span', { class: 'message' }, message), Object.entries(fields).map(([key, value]) => [' ', h('span', { class: 'pair-of' }, h('span', { class: 'key' }, key + '='), typeof value === 'string' ? value : JSON.stringify(value))]));
}
