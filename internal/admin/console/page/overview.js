// How the relay is: both sides, the journal, what became of messages, rooms.

import { chart } from './chart.js';
import { heading } from './listing.js';
import { fill, h, icon, put } from './dom.js';
import { duration, number, rate, reason, size, t } from './i18n.js';
import { listen, live } from './live.js';

const SIDES = ['mqtt', 'xmpp'];
const WORDS = ['received', 'delivered', 'duplicate', 'ignored', 'refused', 'dead', 'pending'];
const MOST_REASONS = 8;
const LEAST_DAYS = 14; // as the alert has it

export function overview(signal) {
  const parts = [hero(), connections(), charts(), balance(), rooms()];
  const tell = () => {
    if (live.state) for (const part of parts) part.update(live.state, live.history);
  };
  listen(['state'], tell, signal);
  tell();
  return h('div', { class: 'view' }, heading(t('Overview')), parts.map((p) => p.el));
}

// hero says in one line whether all is well, and else what is not.
function hero() {
  const word = h('strong', {});
  const sign = h('span', { class: 'sign' });
  const facts = h('span', { class: 'facts' });
  const list = h('ul', { class: 'problems' });
  const line = h('div', { class: 'verdict-line', role: 'status' }, sign, word);
  const el = h('section', { class: 'card hero', 'aria-label': t('State') }, h('div', { class: 'hero-line' }, line, facts), list);
  let before = '';
  return {
    el,
    update(s) {
      const problems = [...(s.ready.reasons ?? []).map((text) => ['bad', text]), ...(s.ready.warnings ?? []).map((text) => ['warn', text])];
      const kind = !s.ready.ok ? 'bad' : problems.length > 0 ? 'warn' : 'good';
      put(facts, t('facts', { version: s.version, time: duration(s.uptime_seconds) }));
      const now = JSON.stringify([kind, problems]);
      if (now === before) return;
      before = now;
      el.dataset.kind = kind;
      put(word, t('ready ' + kind));
      fill(sign, icon(kind === 'good' ? 'check' : 'warn'));
      fill(list, problems.map(([k, text]) => h('li', { class: k }, text)));
      list.hidden = problems.length === 0;
    },
  };
}

// connections are the two sides with the journal between them.
function connections() {
  const fact = (name) => {
    const value = h('dd', {});
    return { value, el: h('div', {}, h('dt', {}, name), value) };
  };
  const side = (id) => {
    const dot = h('span', { class: 'dot' });
    const text = h('span', { class: 'state' });
    const open = fact(t('Waiting to go there'));
    const offered = fact(t('Offered from there'));
    const wire = fact(t('On the wire'));
    const lost = fact(t('Connections lost'));
    const certificate = fact(t('Certificate'));
    const el = h('section', { class: 'card side-card', 'aria-label': id.toUpperCase() },
      h('h2', {}, id.toUpperCase(), h('small', {}, t('side ' + id))), h('p', { class: 'standing' }, dot, text), h('dl', { class: 'facts-list' }, open.el, offered.el, wire.el, lost.el, certificate.el));
    return {
      el,
      update(s) {
        const now = s.sides[id];
        el.dataset.kind = now.up ? 'good' : 'bad';
        put(text, now.up ? t('Connected') : now.reason || t('Not connected'));
        put(open.value, number(now.open));
        put(offered.value, number(now.offered));
        put(wire.value, t('of', { a: number(now.in_flight), b: number(now.window) }));
        put(lost.value, number(now.connections_lost));
        put(certificate.value, now.certificate_days === undefined ? '–' : t('days left', { n: now.certificate_days }));
        certificate.el.dataset.kind = now.certificate_days < LEAST_DAYS ? 'bad' : 'good'; // so is one that is not there: the comparison is false
      },
    };
  };
  const [mqtt, xmpp] = SIDES.map(side);
  const used = fact(t('Used'));
  const waits = fact(t('Waiting'));
  const oldest = fact(t('Oldest'));
  const dead = fact(t('Dead letters'));
  const bar = h('meter', { class: 'meter', min: 0, max: 1, low: 0.5, high: 0.8, optimum: 0, 'aria-label': t('journal used') });
  const journal = h('section', { class: 'card side-card journal', 'aria-label': t('Journal') }, h('h2', {}, t('Journal'), h('small', {}, t('journal note'))), bar,
    h('dl', { class: 'facts-list four' }, used.el, waits.el, oldest.el, dead.el));
  return {
    el: h('div', { class: 'connections' }, mqtt.el, journal, xmpp.el),
    update(s) {
      mqtt.update(s);
      xmpp.update(s);
      const { store } = s;
      const part = Math.max(store.limit ? store.bytes / store.limit : 0, store.pending_limit ? store.pending / store.pending_limit : 0);
      journal.dataset.kind = store.full || store.write_error ? 'bad' : part > 0.5 ? 'warn' : 'good';
      bar.value = part;
      put(used.value, t('of', { a: size(store.bytes), b: size(store.limit) }));
      put(waits.value, store.pending_limit ? t('of', { a: number(store.pending), b: number(store.pending_limit) }) : number(store.pending));
      put(oldest.value, store.oldest_pending_seconds ? duration(store.oldest_pending_seconds) : '–');
      put(dead.value, number(s.dead_letters));
    },
  };
}

const directions = () => [{ name: t('MQTT to XMPP'), tone: 'a' }, { name: t('XMPP to MQTT'), tone: 'b' }];

function charts() {
  const all = [
    chart({ title: t('Delivered'), note: t('a second, by direction'), series: directions().map((d, i) => ({ ...d, of: (p) => p.delivered[i] })), show: rate, least: 1 }),
    chart({
      title: t('Time to deliver'), note: t('took note'), show: duration, least: 0.01,
      series: [{ name: t('to XMPP'), tone: 'a', of: (p) => p.took[1] ?? undefined }, { name: t('to MQTT'), tone: 'b', of: (p) => p.took[0] ?? undefined }],
    }),
    chart({
      title: t('Waiting'), note: t('by where it goes'), show: (n) => number(Math.round(n)), least: 10,
      series: [{ name: t('to XMPP'), tone: 'a', of: (p) => p.open[1] }, { name: t('to MQTT'), tone: 'b', of: (p) => p.open[0] }],
    }),
  ];
  return {
    el: h('div', { class: 'charts' }, all.map((c) => c.el)),
    update(_, history) {
      for (const c of all) c.update(history);
    },
  };
}

// balance shows what became of messages, by where they came from. Nothing vanishes: the sum says so.
function balance() {
  const cells = Object.fromEntries(SIDES.map((id) => [id, WORDS.map(() => h('td', {}))]));
  const sum = h('p', { class: 'sum' });
  const list = h('ol', { class: 'reasons' });
  const none = h('p', { class: 'note', hidden: true }, t('no reasons'));
  const el = h('div', { class: 'pair' },
    h('section', { class: 'card' }, h('h3', {}, t('What became of messages')), h('p', { class: 'note' }, t('balance note')),
      h('div', { class: 'sideways', tabindex: '0', role: 'group', 'aria-label': t('What became of messages') }, h('table', { class: 'figures' },
        h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('Came from')), WORDS.map((w) => h('th', { scope: 'col' }, t('word.' + w))))),
        h('tbody', {}, SIDES.map((id) => h('tr', {}, h('th', { scope: 'row' }, id.toUpperCase()), cells[id]))))), sum),
    h('section', { class: 'card' }, h('h3', {}, t('Why not delivered')), h('p', { class: 'note' }, t('reasons note')), list, none));
  return {
    el,
    update(s) {
      for (const id of SIDES) WORDS.forEach((word, i) => put(cells[id][i], number(s.sides[id].counts[word] ?? 0)));
      put(sum, s.balance === 0 ? t('it adds up') : t('in hand', { n: s.balance }));
      const top = Object.entries(s.reasons).filter(([name]) => !name.startsWith('ignored')).sort((a, b) => b[1] - a[1]).slice(0, MOST_REASONS);
      none.hidden = top.length > 0;
      list.hidden = top.length === 0;
      fill(list, top.map(([name, n]) => {
        const [what, word] = name.split(' ', 2);
        return h('li', { vars: { '--part': n / top[0][1] }, title: reason(word) }, h('span', { class: 'what' }, t('word.' + what)), h('code', {}, word), h('span', { class: 'n' }, number(n)));
      }));
    },
  };
}

// rooms are those served, the ones in trouble first.
function rooms() {
  const body = h('tbody', {});
  const title = h('h3', {}, t('Rooms'));
  const more = h('p', { class: 'note' });
  const el = h('section', { class: 'card' }, title, h('div', { class: 'sideways', tabindex: '0', role: 'group', 'aria-label': t('Rooms') },
    h('table', { class: 'rooms' }, h('thead', {}, h('tr', {}, [t('Room'), t('State')].map((name) => h('th', { scope: 'col' }, name)))), body)), more);
  let before = '';
  const MOST = 100;
  return {
    el,
    update(s) {
      const now = JSON.stringify(s.rooms);
      if (now === before) return;
      before = now;
      const all = Object.entries(s.rooms).sort(([a, x], [b, y]) => rank(x) - rank(y) || a.localeCompare(b));
      el.hidden = all.length === 0;
      fill(body, all.slice(0, MOST).map(([name, room]) => {
        const kind = ['bad', 'warn', 'good'][rank(room)];
        return h('tr', { data: { kind } }, h('th', { scope: 'row' }, name), h('td', {}, h('span', { class: 'standing' }, h('span', { class: 'dot' }), h('span', {}, room.reason || t(room.up ? 'In the room' : 'Not in the room')))));
      }));
      more.hidden = all.length <= MOST;
      put(more, t('more rooms', { n: all.length - MOST }));
    },
  };
}

const rank = (room) => (!room.up ? 0 : room.reason ? 1 : 2);
