/** Asks a server for one key all the time and remembers the longest wait. */

import net from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { httpRequestBytes } from './http-load.ts';

const PAUSE_MS = 2;
const NS_PER_MS = 1e6;

/** One connection, one request at a time. What this process's own event loop was late is taken off. */
export class Probe {
  readonly #socket: net.Socket;
  readonly #request: Buffer;
  readonly #ownDelay = monitorEventLoopDelay({ resolution: 1 });
  #longestMs = 0;
  #isStopped = false;
  #sentAt = 0;

  constructor(url: URL) {
    this.#request = httpRequestBytes('GET', url, '/v1/kv/probe?stale');
    this.#ownDelay.enable();
    this.#socket = net.connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    this.#socket.on('connect', () => this.#send());
    this.#socket.on('data', () => this.#answered());
    this.#socket.on('error', () => {
      // The server is gone; what was measured until then counts.
    });
  }

  /** Milliseconds; starts over. */
  takeLongestMs(): number {
    const longest = this.#longestMs;
    this.#longestMs = 0;
    return longest;
  }

  stop(): void {
    this.#isStopped = true;
    this.#ownDelay.disable();
    this.#socket.destroy();
  }

  #send(): void {
    if (this.#isStopped) return;
    this.#ownDelay.reset();
    this.#sentAt = performance.now();
    this.#socket.write(this.#request);
  }

  #answered(): void {
    const ownMs = this.#ownDelay.max / NS_PER_MS;
    const tookMs = performance.now() - this.#sentAt - (Number.isFinite(ownMs) ? ownMs : 0);
    this.#longestMs = Math.max(this.#longestMs, tookMs);
    setTimeout(() => this.#send(), PAUSE_MS);
  }
}
