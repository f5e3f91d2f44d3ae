// The configuration in force.

import { ask } from './api.js';
import { heading } from './listing.js';
import { fill, h, put } from './dom.js';
import { t } from './i18n.js';

const PREFIX = 'CHATRELAY_';

export function settings(signal) {
  const body = h('tbody', {});
  const wrong = h('p', { class: 'bad', role: 'alert' });
  const count = h('p', { class: 'summary', role: 'status' });
  let all = [];
  const search = h('input', { id: 's-word', type: 'search', autocomplete: 'off', spellcheck: 'false', placeholder: t('any'), on: { input: () => draw() } });
  const only = h('input', { id: 's-only', type: 'checkbox', on: { change: () => draw() } });

  function draw() {
    const word = search.value.trim().toLowerCase();
    const seen = all.filter((one) => (!only.checked || !one.default) && [one.name, one.value, one.meaning].some((text) => text.toLowerCase().includes(word)));
    put(count, t('settings', { n: seen.length }));
    fill(body, seen.map((one) => h('tr', {},
      h('th', { scope: 'row' }, h('code', {}, h('span', { class: 'prefix' }, PREFIX), h('wbr'), one.name.slice(PREFIX.length)), h('small', { lang: 'en' }, one.meaning)),
      h('td', {}, one.value === '(secret)' ? h('span', { class: 'tag' }, t('secret')) : h('code', {}, one.value), one.default ? h('span', { class: 'default' }, t('default')) : ''))));
  }

  ask('settings', undefined, signal).then((answer) => {
    all = answer.settings;
    draw();
  }, (error) => {
    if (error.name !== 'AbortError') put(wrong, error.message);
  });
  return h('div', { class: 'view' }, heading(t('Settings'), t('settings note')),
    h('div', { class: 'card flush' }, h('form', { class: 'tools', 'aria-label': t('Filter'), on: { submit: (event) => event.preventDefault() } },
      h('div', { class: 'field wide' }, h('label', { for: 's-word' }, t('Contains')), search), h('div', { class: 'field check' }, only, h('label', { for: 's-only' }, t('Only what was set'))), count),
    wrong, h('div', { class: 'sideways', tabindex: '0', role: 'group', 'aria-label': t('Settings') }, h('table', { class: 'settings' },
      h('thead', {}, h('tr', {}, [t('Setting'), t('Value')].map((name) => h('th', { scope: 'col' }, name)))), body))));
}
