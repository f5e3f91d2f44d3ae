// Windows over the page. The browser's own dialog keeps the keyboard inside and gives the focus back.

import { h, icon } from './dom.js';
import { t } from './i18n.js';

let count = 0;

// open shows a dialog; content(close) gives what is in it.
export function open({ title, kind = 'ask', content, onclose }) {
  const id = `dialog-${++count}`;
  const box = h('dialog', { class: `dialog ${kind}`, 'aria-labelledby': id });
  const close = () => box.close();
  box.append(h('header', {}, h('h2', { id }, title),
    h('button', { type: 'button', class: 'icon-button', 'aria-label': t('Close'), on: { click: close } }, icon('close'))));
  box.append(...[content(close)].flat());
  box.addEventListener('close', () => {
    box.remove();
    onclose?.();
  });
  box.addEventListener('click', (event) => {
    if (event.target === box) close(); // beside it
  });
  document.body.append(box);
  box.showModal();
  return { box, close };
}

// confirm asks before something is done; act(progress, stopped) does it and gives what to say then.
export function confirm({ title, text, verb, danger, act }) {
  let stopped = false;
  const note = h('p', { class: 'progress', role: 'status' });
  const go = h('button', { type: 'button', class: danger ? 'button danger' : 'button primary' }, verb);
  const no = h('button', { type: 'button', class: 'button' }, t('Cancel'));
  const { close } = open({
    title,
    onclose: () => { stopped = true; },
    content: () => [h('p', {}, text), note, h('footer', {}, no, go)],
  });
  no.addEventListener('click', close);
  no.focus();
  go.addEventListener('click', async () => {
    go.disabled = true;
    no.textContent = t('Stop');
    no.focus();
    try {
      await act((said) => { note.textContent = said; }, () => stopped);
      close();
    } catch (error) {
      note.textContent = error.message;
      note.classList.add('bad');
      go.disabled = false;
      no.textContent = t('Close');
    }
  });
}

// toasts is where they stand: there before the first, so that it is read aloud.
export const toasts = () => h('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' });

// toast says what has been done, and goes by itself.
export function toast(text) {
  const shelf = document.querySelector('.toasts');
  const one = h('div', { class: 'toast' }, icon('check'), h('span', {}, text));
  shelf.append(one);
  setTimeout(() => one.remove(), 6000);
}
