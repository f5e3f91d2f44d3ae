// Small line charts of the last ten minutes.

import { h, put, s } from './dom.js';
import { clock, t } from './i18n.js';

const WIDTH = 600;
const HEIGHT = 150;
const SPAN = 10 * 60 * 1000; // ms
const GAP = 15 * 1000; // without a point: a page or a relay that slept

// chart draws series over time. series: [{name, tone, of: point => value or undefined}]; show writes a value.
export function chart({ title, note, series, show, least }) {
  const lines = series.map(({ tone }) => ({
    area: s('path', { class: `area tone-${tone}` }), line: s('path', { class: `line tone-${tone}`, 'vector-effect': 'non-scaling-stroke' }),
  }));
  const grid = [0, 1, 2].map((i) => s('line', { class: 'grid', x1: 0, x2: WIDTH, y1: (HEIGHT / 2) * i, y2: (HEIGHT / 2) * i, 'vector-effect': 'non-scaling-stroke' }));
  const cross = s('line', { class: 'cross', y1: 0, y2: HEIGHT, x1: 0, x2: 0, visibility: 'hidden', 'vector-effect': 'non-scaling-stroke' });
  const picture = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' },
    ...grid, ...lines.flatMap(({ area, line }) => [area, line]), cross);
  const top = h('span', { class: 'axis high' });
  const middle = h('span', { class: 'axis half' });
  const values = series.map(() => h('span', { class: 'value' }));
  const when = h('span', { class: 'when' });
  const legend = h('div', { class: 'legend' },
    series.map(({ name, tone }, i) => h('div', { class: 'key' }, h('span', { class: `swatch tone-${tone}` }), h('span', { class: 'name' }, name), values[i])), when);
  const plot = h('div', { class: 'plot' }, picture, top, middle);
  const el = h('section', { class: 'card chart' }, h('h3', {}, title), note && h('p', { class: 'note' }, note), legend, plot,
    h('div', { class: 'times', 'aria-hidden': 'true' }, h('span', {}, t('10 minutes ago')), h('span', {}, t('now'))));

  let points = [];
  let pointed; // ms: where the pointer is
  const write = (value) => (value === undefined ? '–' : show(value));

  function readout() {
    const end = points.at(-1)?.at ?? 0;
    const at = pointed === undefined ? points.at(-1) : points.findLast((p) => p.at <= end - SPAN + pointed * SPAN);
    series.forEach(({ of }, i) => put(values[i], at ? write(of(at)) : '–'));
    put(when, pointed === undefined || !at ? '' : clock(at.at));
    const x = (pointed ?? 0) * WIDTH;
    cross.setAttribute('x1', x);
    cross.setAttribute('x2', x);
    cross.setAttribute('visibility', pointed === undefined ? 'hidden' : 'visible');
  }

  plot.addEventListener('pointermove', (event) => {
    const box = picture.getBoundingClientRect();
    pointed = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    readout();
  });
  plot.addEventListener('pointerleave', () => {
    pointed = undefined;
    readout();
  });

  function update(now) {
    points = now;
    const end = points.at(-1)?.at ?? Date.now();
    const most = niceTop(Math.max(least, ...points.flatMap((p) => series.map(({ of }) => of(p) ?? 0))));
    series.forEach(({ of }, i) => {
      const runs = split(points.filter((p) => p.at >= end - SPAN && of(p) !== undefined));
      const place = (p) => [((p.at - end + SPAN) / SPAN) * WIDTH, HEIGHT - (of(p) / most) * (HEIGHT - 4) - 1];
      lines[i].line.setAttribute('d', runs.map((run) => path(run.map(place))).join(''));
      lines[i].area.setAttribute('d', runs.filter((run) => run.length > 1).map((run) => under(run.map(place))).join(''));
    });
    put(top, show(most));
    put(middle, show(most / 2));
    picture.setAttribute('aria-label', summary());
    readout();
  }

  const summary = () => series.map(({ name, of }) => t('chart summary', {
    name, now: write(points.length ? of(points.at(-1)) : undefined), most: show(Math.max(0, ...points.map((p) => of(p) ?? 0))),
  })).join(' ');

  update([]);
  return { el, update };
}

// split makes one line of what has no gap.
function split(points) {
  const runs = [];
  points.forEach((p, i) => {
    if (i === 0 || p.at - points[i - 1].at > GAP) runs.push([]);
    runs.at(-1).push(p);
  });
  return runs;
}

const path = (places) => places.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
const under = (places) => `${path(places)}L${places.at(-1)[0].toFixed(1)} ${HEIGHT}L${places[0][0].toFixed(1)} ${HEIGHT}Z`;

// niceTop is the next of 1, 2, 3, 4, 5, 6, 8 and 10 times a power of ten: its half is a good number, too.
function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= value * 0.999);
}
