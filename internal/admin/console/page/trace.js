// One message from station to station.

import { ask, query } from './api.js';
import { fill, h, icon, put } from './dom.js';
import { clock, duration, has, moment, reason, t } from './i18n.js';
import { heading } from './listing.js';

// What a state of a message looks like.
const KINDS = { delivered: 'good', waiting: 'warn', 'dead letter': 'bad', bounced: 'bad', refused: 'bad', 'not taken': 'bad' };

export function trace(signal) {
  const word = h('input', { id: 't-word', type: 'search', required: true, maxlength: 200, autocomplete: 'off', spellcheck: 'false' });
  const since = h('select', { id: 't-since' }, [['', t('any')], ...[['1h', 3600], ['24h', 86400], ['168h', 7 * 86400]].map(([value, long]) => [value, t('the last', { time: duration(long) })])]
    .map(([value, label]) => h('option', { value }, label)));
  const until = h('input', { id: 't-until', type: 'datetime-local' });
  const said = h('p', { class: 'summary', role: 'status' });
  const found = h('div', { class: 'traces' });
  let turn;

  async function find() {
    turn?.abort();
    turn = new AbortController();
    put(said, t('looking'));
    fill(found);
    try {
      const { messages } = await ask('trace?' + query({ q: word.value.trim(), ...span(since.value, until.value) }), undefined, AbortSignal.any([signal, turn.signal]));
      put(said, t('messages found', { n: messages.length }));
      fill(found, messages.reverse().map(message));
    } catch (error) {
      if (error.name !== 'AbortError') put(said, error.message);
    }
  }

  return h('div', { class: 'view' }, heading(t('Trace'), t('trace note')),
    h('div', { class: 'card flush' }, h('form', { class: 'tools', 'aria-label': t('Trace'), on: { submit: (event) => { event.preventDefault(); find(); } } },
      h('div', { class: 'field wide' }, h('label', { for: 't-word' }, t('trace by')), word), h('div', { class: 'field' }, h('label', { for: 't-since' }, t('Time')), since),
      h('div', { class: 'field' }, h('label', { for: 't-until' }, t('Until')), until),
      h('button', { type: 'submit', class: 'button primary' }, t('Follow')), said)), found);
}

// span is from when to when: as long as was chosen, before the moment that was entered, or before now.
function span(since, until) {
  if (!until) return { since };
  const end = new Date(until);
  return { since: since && new Date(end - parseInt(since, 10) * 3600e3).toISOString(), until: end.toISOString() };
}

function message(m) {
  return h('section', { class: 'card traced' },
    h('header', {}, h('h2', {}, m.message ? String(m.message) : t('never taken')), h('span', { class: `tag ${KINDS[m.state] ?? ''}` }, has('trace.' + m.state) ? t('trace.' + m.state) : m.state)),
    h('p', { class: 'people' }, h('span', {}, m.from || '–'), icon('arrow'), h('span', {}, (m.to ?? []).join(', ') || '–'), m.id && h('code', {}, m.id)),
    h('ol', { class: 'stations' }, (m.stations ?? []).map(station)));
}

function station(s) {
  const where = [s.kind, s.status, s.side && s.side.toUpperCase(), (s.to ?? []).join(', '), s.deliveries > 1 && t('n deliveries', { n: s.deliveries }), s.wait_ns && t('for', { time: duration(s.wait_ns / 1e9) })].filter(Boolean).join(' · ');
  return h('li', {}, h('time', { datetime: s.at, title: moment(new Date(s.at)) }, clock(new Date(s.at))), h('strong', {}, has('event.' + s.event) ? t('event.' + s.event) : s.event),
    h('span', {}, where), s.reason && h('span', { class: 'note', title: s.reason }, reason(s.reason)), s.delivery && h('code', {}, s.delivery));
}
