// How the page asks the relay.

import { has, t } from './i18n.js';

// Failed is an answer that was none.
export class Failed extends Error {
  constructor(status, body, after) {
    super(has('error.' + body.error) ? t('error.' + body.error, { after }) : body.text ?? t('error.unknown', { status }));
    this.status = status;
    this.word = body.error;
    if (body.error === 'journal' && body.text) this.message += ' (' + body.text + ')';
  }
}

let expired = () => {};

// onExpired is called when the login does not count any more.
export function onExpired(call) {
  expired = call;
}

export async function ask(path, body, signal) {
  const init = { headers: { 'Chatrelay-Console': '1' }, signal, cache: 'no-store' };
  if (body !== undefined) {
    init.method = 'POST';
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch('api/' + path, init);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Failed(0, { error: 'unreachable' });
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const failed = new Failed(answer.status, said, answer.headers.get('Retry-After'));
  if (answer.status === 401 && said.error === 'no_session') expired();
  throw failed;
}

// query makes a query of what is set.
export function query(values) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== '' && value !== undefined) q.set(name, value);
  return q.toString();
}
