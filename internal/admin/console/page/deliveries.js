// Dead letters, and what waits.

import { ask, query } from './api.js';
import { confirm, open, toast } from './dialog.js';
import { fill, h, icon, put } from './dom.js';
import { ago, duration, has, moment, number, reason, size, t } from './i18n.js';
import { heading, listing, why } from './listing.js';
import { listen, live } from './live.js';

const AT_ONCE = 80; // numbers in one order: its body is short
const BATCH = 256; // what one order by filter changes at most
const SETTLE = 5000; // ms: dead letters come and go in bursts

// deadLetters is the view of dead letters.
export function deadLetters(signal, { role }) {
  const may = role === 'operator';
  const chosen = new Set(); // Ref
  const summary = h('p', { class: 'summary', role: 'status' });
  const some = h('div', { class: 'actions' });
  let counted; // {count, more} of the filter as it is; undefined: not known yet
  let counter; // ends the counting for an older filter
  let before; // how many there were when last heard of
  let timer;
  const view = listing({
    signal, state: 'dead', chosen: may ? chosen : undefined, onchoose: actions, detail: (d) => detail(d, may ? change : undefined),
    onfilter() {
      counted = undefined; // what the buttons say and do is of one filter
      chosen.clear();
      put(summary, t('counting'));
      actions();
      count();
    },
  });
  const filtered = () => Object.values(view.filter).some((v) => v !== '');

  async function count() {
    counter?.abort();
    counter = new AbortController();
    const filter = view.filter;
    let now;
    try {
      now = await ask('dead/count?' + query(filter), undefined, AbortSignal.any([signal, counter.signal]));
    } catch (error) {
      if (error.name !== 'AbortError') put(summary, error.message);
      return;
    }
    if (filter !== view.filter) return;
    counted = now;
    put(summary, (now.more ? t('more dead letters', { n: now.count }) : t('dead letters', { n: now.count })) + (filtered() ? ' · ' + t('filtered') : ''));
    if (!filter.reason) view.reasons(now.reasons);
    actions();
  }

  function actions() {
    if (!may) return;
    const n = chosen.size;
    const both = (label, go) => ['requeue', 'drop'].map((verb) => h('button', {
      type: 'button', class: 'button' + (verb === 'drop' ? ' quiet-danger' : ''), disabled: n === 0 && !counted?.count, on: { click: () => go(verb) },
    }, icon(verb), label(verb)));
    if (n > 0) {
      fill(some, h('span', { class: 'chosen' }, t('chosen', { n })), both((verb) => t(verb), (verb) => change(verb, [...chosen])),
        h('button', { type: 'button', class: 'button plain', on: { click: () => { chosen.clear(); view.redraw(); actions(); } } }, t('Choose none')));
    } else {
      fill(some, both((verb) => t(filtered() ? `${verb} these` : `${verb} all`), changeAll));
    }
  }

  // order changes some, and remembers that it did.
  async function order(verb, body) {
    const batch = await ask('dead/' + verb, body);
    if (before !== undefined) before -= batch.changed;
    return batch;
  }

  // byNumber changes those that have these numbers, until it is stopped.
  async function byNumber(verb, refs, stopped, each) {
    for (let i = 0; i < refs.length && !stopped(); i += AT_ONCE) {
      const part = refs.slice(i, i + AT_ONCE);
      const { changed } = await order(verb, { refs: part });
      view.remove(new Set(part));
      for (const ref of part) chosen.delete(ref);
      each(changed);
    }
  }

  function change(verb, refs, done) {
    perform(verb, {
      title: t(`${verb} n?`, { n: refs.length }), text: t(`${verb} explained`),
      act: (stopped, each) => byNumber(verb, refs, stopped, each), done, stay: true,
    });
  }

  // changeAll changes as many as were there when it was asked for, of those that fitted then: the oldest first, a batch at a time.
  function changeAll(verb) {
    const filter = Object.fromEntries(Object.entries(view.filter).filter(([, v]) => v !== ''));
    const all = Object.keys(filter).length === 0;
    const { count: n, more } = counted;
    const title = more ? t(`${verb} more?`, { n }) : t(all ? `${verb} all?` : `${verb} n?`, { n });
    perform(verb, {
      title, text: [t(`${verb} explained`), describe(filter)].filter(Boolean).join(' '),
      async act(stopped, each) {
        let left = more ? Infinity : n;
        let next = '0';
        while (left >= BATCH && !stopped()) {
          const batch = await order(verb, all ? { all: true, after: next } : { pick: filter, after: next });
          each(batch.changed);
          left -= batch.changed;
          next = batch.next;
          if (batch.full) throw new Error(t('journal full'));
          if (next === '0' || batch.changed === 0) return;
        }
        if (stopped() || left <= 0) return;
        const rest = await ask('deliveries?' + query({ state: 'dead', limit: left, ...filter, after: next }));
        await byNumber(verb, rest.deliveries.map((d) => d.ref), stopped, each);
      },
    });
  }

  // perform asks, does it, and says how many it was, also when it went wrong halfway.
  function perform(verb, { title, text, act, done, stay }) {
    confirm({
      title, text, verb: t(verb), danger: verb === 'drop',
      act: async (progress, stopped) => {
        let changed = 0;
        let keep = false; // the list is right: nobody has to lose the place in it
        try {
          await act(stopped, (n) => {
            changed += n;
            progress(t('done so far', { n: changed }));
          });
          keep = stay;
        } finally {
          if (!keep) {
            chosen.clear();
            view.reload();
          }
          count();
          if (changed > 0) toast(t(`${verb} done`, { n: changed }));
        }
        done?.();
      },
    });
  }

  const describe = (filter) => Object.entries(filter).map(([name, value]) => t('filter ' + name, { value: name === 'older' ? duration(parseInt(value, 10) * 3600) : value })).join(' ');

  const tell = () => {
    const now = live.state?.dead_letters;
    if (before !== undefined && now !== before) {
      timer ??= setTimeout(() => { timer = undefined; count(); }, SETTLE);
      view.changed();
    }
    before = now;
  };
  listen(['state'], tell, signal);
  tell();
  count();
  return h('div', { class: 'view tall' }, heading(t('Dead letters'), t('dead note')),
    h('div', { class: 'card flush' }, view.tools, h('div', { class: 'bar' }, summary, some), view.el));
}

// waiting is the view of what is not delivered yet.
export function waiting(signal) {
  const view = listing({ signal, state: 'waiting', detail: (d) => detail(d) });
  const summary = h('p', { class: 'summary', role: 'status' });
  let before = '';
  const tell = () => {
    const { store, sides } = live.state ?? {};
    if (!store) return;
    put(summary, t('deliveries wait', { n: store.pending }) + (store.pending ? ' · ' + t('oldest', { time: duration(store.oldest_pending_seconds) }) : ''));
    const now = [store.pending, sides.mqtt.open, sides.xmpp.open, sides.mqtt.up, sides.xmpp.up].join();
    if (now !== before && before !== '') view.changed();
    before = now;
  };
  listen(['state'], tell, signal);
  tell();
  return h('div', { class: 'view tall' }, heading(t('Waiting'), t('waiting note')),
    h('div', { class: 'card flush' }, view.tools, h('div', { class: 'bar' }, summary), view.el));
}

// detail shows one delivery, and what can be done with it.
function detail(d, change) {
  const line = (name, value) => value !== '' && value !== undefined && [h('dt', {}, name), h('dd', {}, value)];
  open({
    title: t('Delivery', { ref: d.ref }), kind: 'sheet',
    content: (close) => [
      d.state === 'dead' && h('div', { class: 'verdict' }, h('span', { class: 'tag bad' }, d.reason), h('p', {}, has('reason.' + d.reason) || d.reason.startsWith('bounce') ? reason(d.reason) : ''),
        d.text && h('p', { class: 'quote' }, d.text)),
      d.state !== 'dead' && h('div', { class: 'verdict' }, why(d)),
      h('dl', {}, line(t('From'), d.from), line(t('To'), d.to), line(t('Towards'), d.side.toUpperCase()), line(t('Kind'), t('kind.' + d.kind)),
        line(t('Taken'), moment(new Date(d.at)) + ' (' + ago(new Date(d.at)) + ')'), line(t('Size'), size(d.bytes)), line(t('Put off so far'), number(d.attempts))),
      h('p', { class: 'note' }, t('content note', { ref: d.ref.split('.')[0] })),
      change && h('footer', {}, ['drop', 'requeue'].map((verb) => h('button', { type: 'button', class: verb === 'drop' ? 'button quiet-danger' : 'button primary', on: {
        click: () => change(verb, [d.ref], close),
      } }, icon(verb), t(verb)))),
    ].filter(Boolean),
  });
}
