// Asking a worker: promises, and for what a slider asks again and again only the latest question.

export class Engine {
  /** Take a worker that runs already, or start one at once, or `later`, with the first request. */
  constructor({ worker = null, later = false } = {}) {
    this.waiting = new Map();
    this.channels = new Map();
    this.last = 0;
    if (worker || !later) this.start(worker);
  }

  start(worker = null) {
    this.worker = worker ?? new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.failure) reject(new Error(data.failure));
      else resolve(data);
    };
    this.worker.onerror = (event) => {
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the worker did not start"));
      this.waiting.clear();
    };
  }

  /** The answer to a request: {result} or {problem}. */
  ask(request) {
    if (!this.worker) this.start();
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, request });
    });
  }

  /** As `ask`, one at a time on a channel; a newer request replaces the one that waits, which gets null. */
  async latest(channel, request) {
    const lane = this.channels.get(channel) ?? { busy: false, next: null };
    this.channels.set(channel, lane);
    if (lane.busy) {
      lane.next?.resolve(null);
      return new Promise((resolve, reject) => (lane.next = { request, resolve, reject }));
    }
    lane.busy = true;
    try {
      return await this.ask(request);
    } finally {
      lane.busy = false;
      const next = lane.next;
      lane.next = null;
      if (next) this.latest(channel, next.request).then(next.resolve, next.reject);
    }
  }
}
