// The list of deliveries that both views have: filter, rows, and reading on.

import { ask, query } from './api.js';
import { fill, h, icon, put } from './dom.js';
import { ago, duration, moment, number, reason, size, t } from './i18n.js';
import { virtual } from './list.js';
import { live } from './live.js';

const PAGE = 250;
const NARROW = 720; // px: below it a row is a card
const CALM = 3000; // ms: a list that changes is read again so often

const FILTER = () => ({ reason: '', sender: '', to: '', older: '' });

export const heading = (title, note) => h('header', { class: 'heading' }, h('h1', { tabindex: '-1' }, title), note && h('p', {}, note));

// listing makes one. onfilter is called when another filter is set, before anything is read for it.
export function listing({ signal, state, chosen, onchoose, onfilter = () => {}, detail }) {
  let calm;
  const view = { filter: FILTER() };
  const stale = h('button', { type: 'button', class: 'button stale', hidden: true, on: { click: () => view.reload() } }, icon('requeue'), t('List has changed'));
  const empty = h('p', { class: 'empty', hidden: true }, t(state === 'dead' ? 'no dead letters' : 'nothing waits'));
  const text = h('span', { role: 'alert' });
  const wrong = h('p', { class: 'bad', hidden: true }, text, ' ', h('button', { type: 'button', class: 'button', on: { click: () => { view.fail(); list.resume(); } } }, t('Try again')));
  const list = virtual({
    label: t(state === 'dead' ? 'Dead letters' : 'Waiting'), columns: columns(state, chosen), row: cells, height: (w) => (w < NARROW ? 92 : 45),
    more: (last) => read(last?.seq), failed: (error) => view.fail(error),
    changed(n, complete) {
      empty.hidden = n > 0 || !complete || !wrong.hidden;
      list.el.hidden = n === 0 && complete;
    },
  });
  const choice = h('select', { id: 'f-reason' });
  view.el = h('div', { class: 'listing' }, wrong, empty, list.el, stale);

  async function read(after) {
    const page = await ask('deliveries?' + query({ state, limit: PAGE, ...view.filter, after }), undefined, signal);
    view.fail();
    return { items: page.deliveries, more: page.more };
  }

  function cells(d) {
    const name = `${d.from} → ${d.to || '–'}`;
    const out = [
      h('button', { type: 'button', class: 'ref', on: { click: () => detail(d) } }, d.ref),
      h('span', { class: 'people' }, h('span', {}, d.from || '–'), icon('arrow'), h('span', {}, d.to || '–')),
      h('span', { class: 'side' }, d.side.toUpperCase()),
      state === 'dead' ? h('span', { class: 'tag bad', title: d.text || reason(d.reason) }, d.reason || '–') : why(d),
      h('time', { datetime: d.at, title: moment(new Date(d.at)) }, ago(new Date(d.at))),
      h('span', {}, size(d.bytes)),
    ];
    if (!chosen) return out;
    const box = h('input', { type: 'checkbox', 'aria-label': t('Choose', { name: d.ref + ', ' + name }) });
    box.checked = chosen.has(d.ref);
    box.addEventListener('change', () => {
      if (box.checked) chosen.add(d.ref);
      else chosen.delete(d.ref);
      onchoose();
    });
    return [box, ...out];
  }

  function tools() {
    const filter = (values) => {
      view.filter = values;
      onfilter();
      view.reload();
    };
    const set = (name) => (event) => filter({ ...view.filter, [name]: event.target.value.trim() });
    const field = (name, label) => h('div', { class: 'field' }, h('label', { for: 'f-' + name }, label),
      h('input', { id: 'f-' + name, type: 'search', maxlength: 200, autocomplete: 'off', spellcheck: 'false', placeholder: t('any'), on: { change: set(name) } }));
    const ages = [['', t('any age')], ...[['1h', 3600], ['24h', 86400], ['168h', 7 * 86400]].map(([value, long]) => [value, t('older than', { time: duration(long) })])];
    choice.addEventListener('change', set('reason'));
    view.reasons({});
    return h('form', { class: 'tools', 'aria-label': t('Filter'), on: { submit: (event) => event.preventDefault(), reset: () => filter(FILTER()) } },
      state === 'dead' && h('div', { class: 'field wide' }, h('label', { for: 'f-reason' }, t('Reason')), choice), field('sender', t('From')), field('to', t('To')),
      h('div', { class: 'field' }, h('label', { for: 'f-older' }, t('Age')), h('select', { id: 'f-older', on: { change: set('older') } }, ages.map(([value, label]) => h('option', { value }, label)))),
      h('button', { type: 'reset', class: 'button plain' }, t('Reset')));
  }

  async function refresh() {
    calm = undefined;
    if (signal.aborted) return;
    if (!list.atTop || list.focused || chosen?.size > 0 || document.querySelector('dialog[open]')) {
      stale.hidden = false; // somebody is in it, who must not lose the place
      return;
    }
    const filter = view.filter;
    try {
      const page = await read();
      if (filter !== view.filter || !list.atTop) return;
      const had = new Map(list.items.map((d) => [d.seq + JSON.stringify(d), d]));
      list.replace(page.items.map((d) => had.get(d.seq + JSON.stringify(d)) ?? d), page.more);
    } catch (error) {
      view.fail(error);
    }
  }

  Object.assign(view, {
    // fail says what went wrong; without an error, that it is right again.
    fail(error) {
      if (error?.name === 'AbortError') return;
      wrong.hidden = !error;
      put(text, error ? error.message : '');
    },
    // reasons are those to choose from.
    reasons(counts) {
      const had = choice.value;
      fill(choice, h('option', { value: '' }, t('any')), Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([word, n]) => h('option', { value: word }, `${word} (${number(n)})`)));
      choice.value = had in counts ? had : '';
    },
    reload() {
      stale.hidden = true;
      view.fail();
      list.reset();
    },
    redraw: () => list.redraw(),
    remove: (refs) => list.remove((d) => refs.has(d.ref)),
    // changed: what the list shows is another one by now.
    changed() {
      calm ??= setTimeout(refresh, CALM);
    },
  });
  view.tools = tools();
  signal.addEventListener('abort', () => list.end());
  return view;
}

function columns(state, chosen) {
  const all = [
    { title: t('Number'), class: 'c-ref' }, { title: t('Who'), class: 'c-people' }, { title: t('Towards'), class: 'c-side' },
    { title: t(state === 'dead' ? 'Reason' : 'Why it waits'), class: 'c-why' }, { title: t('Taken'), class: 'c-at' }, { title: t('Size'), class: 'c-size' },
  ];
  return chosen ? [{ title: h('span', { class: 'hush' }, t('Chosen')), class: 'c-box' }, ...all] : all;
}

// why says what a delivery waits for.
export function why(d) {
  const side = live.state?.sides[d.side];
  if (side && !side.up) return h('span', { class: 'tag warn', title: side.reason }, t('side is down', { side: d.side.toUpperCase() }));
  if (d.state === 'bound') return h('span', { class: 'tag' }, t('on the wire'));
  if (d.reason) return h('span', { class: 'tag warn', title: d.reason }, t('put off', { n: d.attempts, why: reason(d.reason) }));
  return h('span', { class: 'tag' }, t('its turn'));
}
