// What is put into the page goes through here: text stays text, whoever wrote it. Nothing makes markup of a text, and the
// page's Content-Security-Policy (Trusted Types) would not let it.

const SVG = 'http://www.w3.org/2000/svg';

// h makes an element. props: class, on (listeners), data (data-…), vars (custom properties); the others are attributes.
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  set(el, props ?? {});
  append(el, children);
  return el;
}

// s makes an element of SVG.
export function s(tag, props, ...children) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props ?? {})) el.setAttribute(name, value);
  append(el, children);
  return el;
}

function set(el, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') el.className = value;
    else if (name === 'on') for (const [event, listen] of Object.entries(value)) el.addEventListener(event, listen);
    else if (name === 'data') Object.assign(el.dataset, value);
    else if (name === 'vars') for (const [key, v] of Object.entries(value)) el.style.setProperty(key, v);
    else el.setAttribute(name, value === true ? '' : value);
  }
}

function append(el, children) {
  for (const child of children.flat(3)) {
    if (child === undefined || child === null || child === false) continue;
    el.append(child); // a string becomes a text node
  }
}

// fill puts new children in the place of the old ones.
export function fill(el, ...children) {
  el.replaceChildren();
  append(el, children);
  return el;
}

// put changes a text only where it is another one, so that what is selected or read aloud is left alone.
export function put(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

const PATHS = {
  overview: ['M4 13h4l3-8 3 15 3-9 1.5 2H21'],
  waiting: ['M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18', 'M12 7.5V12l3 2'],
  dead: ['M4 5h16v11H14l-2 3-2-3H4z', 'M9.5 8.5l5 4.5M14.5 8.5l-5 4.5'],
  trace: ['M6 4v10a3 3 0 0 0 3 3h10', 'M6 9h8', 'M16 14l3 3-3 3'],
  settings: ['M4 7h9M17 7h3M4 17h3M11 17h9', 'M15 4.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4', 'M9 14.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4'],
  log: ['M5 4h14v16H5z', 'M8.5 8.5h7M8.5 12h7M8.5 15.5h4'],
  requeue: ['M4 12a8 8 0 0 1 13.7-5.6L20 9', 'M20 4v5h-5', 'M20 12a8 8 0 0 1-13.7 5.6L4 15', 'M4 20v-5h5'],
  drop: ['M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13'],
  close: ['M6 6l12 12M18 6L6 18'],
  warn: ['M12 4l9 16H3z', 'M12 10v4.5M12 17v.2'],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  arrow: ['M5 12h14M14 7l5 5-5 5'],
  out: ['M14 5h5v14h-5M10 8l-4 4 4 4M6 12h9'],
  pause: ['M9 6v12M15 6v12'],
  play: ['M8 5.5v13l10-6.5z'],
};

// icon is a picture beside words; who cannot see it misses nothing.
export function icon(name) {
  return s('svg', { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true', focusable: 'false' }, ...PATHS[name].map((d) => s('path', { d })));
}

// mark is the sign of the relay.
export function mark() {
  return s('svg', { viewBox: '0 0 32 32', class: 'mark', 'aria-hidden': 'true', focusable: 'false' },
    s('rect', { width: 32, height: 32, rx: 8 }), s('path', { d: 'M7 12h13l-3.5-3.5M25 20H12l3.5 3.5' }));
}
