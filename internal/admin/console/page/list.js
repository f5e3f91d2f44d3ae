// A long list of which only what is seen is in the page. It asks for more when the end comes near.

import { fill, h } from './dom.js';

const BESIDE = 8; // rows above and below what is seen
const AHEAD = 60; // rows before the end at which more is asked for

// virtual makes a list of rows of one height. columns: [{title, class}]; row(item, index) gives a row's cells; more(last) reads on behind the
// last item: {items, more}. changed is called when it has read, failed with what went wrong.
export function virtual({ label, columns, row, more, height, changed, failed }) {
  const head = h('div', { class: 'tr head', role: 'row' }, columns.map((c) => h('div', { class: 'th ' + (c.class ?? ''), role: 'columnheader' }, c.title)));
  const body = h('div', { class: 'tbody', role: 'rowgroup' });
  const table = h('div', { class: 'table', role: 'table', 'aria-label': label, 'aria-rowcount': '-1' }, h('div', { role: 'rowgroup', class: 'thead' }, head), body);
  const el = h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': label }, table);

  let items = [];
  let shown = new Map(); // index -> {item, el}
  let epoch = 0; // of the items: what is read for older ones is thrown away
  let asking; // the epoch that is being read for
  let complete = false;
  let frame = 0;
  let dead = false;

  const rowHeight = () => height(el.clientWidth);

  function draw() {
    frame = 0;
    if (dead) return;
    const high = rowHeight();
    body.style.height = `${items.length * high}px`;
    const first = Math.max(0, Math.floor(el.scrollTop / high) - BESIDE);
    const last = Math.min(items.length, Math.ceil((el.scrollTop + el.clientHeight) / high) + BESIDE);
    const next = new Map();
    for (let i = first; i < last; i++) {
      const before = shown.get(i);
      next.set(i, before && before.item === items[i] ? before : make(i));
    }
    for (const [i, one] of shown) if (next.get(i) !== one) one.el.remove();
    let at = null; // rows stand in the document in their order: who cannot see reads them so
    for (const [i, one] of [...next].reverse()) {
      one.el.style.top = `${i * high}px`;
      if (one.el.parentNode !== body || one.el.nextSibling !== at) body.insertBefore(one.el, at);
      at = one.el;
    }
    shown = next;
    if (!complete && last > items.length - AHEAD) ask();
  }

  function make(i) {
    const cells = row(items[i], i);
    const one = h('div', { class: 'tr', role: 'row', 'aria-rowindex': i + 2 },
      cells.map((cell, c) => h('div', { class: 'td ' + (columns[c].class ?? ''), role: 'cell' }, cell)));
    return { item: items[i], el: one };
  }

  const later = () => { frame ||= requestAnimationFrame(draw); };

  async function ask() {
    if (asking === epoch || dead) return;
    const mine = epoch;
    asking = mine;
    try {
      const read = await more(items.at(-1));
      if (mine !== epoch) return;
      items = [...items, ...read.items];
      complete = !read.more;
    } catch (error) {
      if (mine !== epoch) return;
      complete = true; // until somebody says so
      failed(error);
    }
    asking = undefined;
    settle();
  }

  function settle() {
    changed(items.length, complete);
    later();
  }

  el.addEventListener('scroll', later, { passive: true });
  const watch = new ResizeObserver(later);
  watch.observe(el);

  return {
    el,
    // reset reads all anew.
    reset() {
      epoch++;
      items = [];
      complete = false;
      el.scrollTop = 0;
      later();
    },
    // resume reads on after something went wrong.
    resume() {
      complete = false;
      later();
    },
    // replace has new items; those that are as they were stay in the page, with who is in them.
    replace(all, isMore) {
      epoch++;
      items = all;
      complete = !isMore;
      settle();
    },
    remove(gone) {
      items = items.filter((item) => !gone(item));
      settle();
    },
    // redraw makes the rows that are seen anew.
    redraw() {
      for (const { el: old } of shown.values()) old.remove();
      shown = new Map();
      later();
    },
    get items() { return items; },
    get atTop() { return el.scrollTop < 4; },
    get focused() { return body.contains(document.activeElement); },
    end() {
      dead = true;
      watch.disconnect();
      cancelAnimationFrame(frame);
      fill(body);
    },
  };
}
