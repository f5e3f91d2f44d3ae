// The stream of events from the relay. A page that nobody looks at gives its stream back: there are only so many.

import { ask } from './api.js';

const RETRY = 5000; // ms
const SILENT = 12000; // ms: the relay says something every two seconds
const KEEP = 300; // points of the charts
const LINES = 1000; // of the log

// live is what the page knows of the relay. Views listen for "state", "log" and "connection", the page for "expired".
class Live extends EventTarget {
  state; // the newest
  history = [];
  lines = [];
  connected = false;
  trouble = ''; // why there is no stream: lost, or full
  #source;
  #heard; // when something came last
  #last = 0; // number of the newest line of the log
  #timer;
  #wanted = false;

  constructor() {
    super();
    document.addEventListener('visibilitychange', () => this.#visible());
  }

  open() {
    this.#wanted = true;
    this.#visible();
  }

  close() {
    this.#wanted = false;
    this.#stop();
    Object.assign(this, { state: undefined, history: [], lines: [], connected: false, trouble: '' });
    this.#last = 0;
  }

  #visible() {
    if (document.hidden || !this.#wanted) this.#stop();
    else if (!this.#source) this.#start();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #start() {
    const source = new EventSource('api/events');
    this.#source = source;
    const on = (name, use) => source.addEventListener(name, (event) => {
      this.#heard = Date.now();
      use(JSON.parse(event.data));
    });
    on('history', (points) => {
      this.history = points;
      this.#connect('');
    });
    on('state', (state) => this.#take(state));
    on('log', (tail) => this.#log(tail));
    on('end', () => this.#again());
    source.onerror = () => this.#again();
    this.#heard = Date.now();
    this.#watch();
  }

  // watch finds a connection that is gone without a word.
  #watch() {
    this.#timer = setTimeout(() => {
      if (Date.now() - this.#heard > SILENT) this.#again();
      else this.#watch();
    }, RETRY / 2);
  }

  // again asks whether the login still counts, as a stream does not say why it ended.
  #again() {
    this.#stop();
    if (!this.#wanted) return;
    const mine = setTimeout(() => this.#visible(), RETRY);
    this.#timer = mine;
    ask('session', undefined, AbortSignal.timeout(RETRY)).then(({ role, full }) => {
      if (!role) this.dispatchEvent(new Event('expired'));
      else if (this.#timer === mine) this.#connect(full ? 'full' : 'lost');
    }, () => this.#connect('lost'));
    if (this.state) this.#connect('lost');
  }

  #connect(trouble) {
    if (this.trouble === trouble && this.connected === (trouble === '')) return;
    this.trouble = trouble;
    this.connected = trouble === '';
    this.dispatchEvent(new Event('connection'));
  }

  #take(state) {
    this.state = state;
    const newest = this.history.at(-1);
    if (!newest || state.point.at > newest.at) this.history = [...this.history, state.point].slice(-KEEP);
    this.dispatchEvent(new Event('state'));
  }

  // log takes new lines. A new stream begins with all that the relay has: what is known of them is passed over.
  #log({ last, lines }) {
    const all = lines.map((line, i) => ({ n: last - lines.length + 1 + i, line }));
    const fresh = all.filter(({ n }) => n > this.#last);
    if (fresh.length === 0) return;
    const gap = fresh[0].n - this.#last - 1;
    if (gap > 0 && this.#last > 0) this.lines.push({ n: fresh[0].n - 0.5, gap });
    this.#last = last;
    this.lines = [...this.lines, ...fresh].slice(-LINES);
    this.dispatchEvent(new Event('log'));
  }
}

export const live = new Live();

// listen calls at each of the events until the signal ends it.
export function listen(names, call, signal) {
  for (const name of names) live.addEventListener(name, call, { signal });
}
