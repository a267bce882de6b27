/** Many blocking queries of one service, each on a connection of its own, that ask again whenever they are woken. */

import { readFileSync } from 'node:fs';
import net from 'node:net';

export interface CrowdOptions {
  readonly url: URL;
  /** What is watched; a path without a query. */
  readonly path: string;
  readonly watchers: number;
  readonly say: (line: string) => void;
}

export interface Wake {
  readonly woken: number;
  /** Watchers that got anything but the whole answer with news. */
  readonly errors: number;
  /** Milliseconds since the change was sent, ascending, one for each that was woken. */
  readonly tookMs: Float64Array;
}

/** Connections being opened at a time. */
const OPENING = 100;
/** For what else a process has open. */
const SPARE_DESCRIPTORS = 100;
const WOKEN_WITHIN_MS = 30_000;

/** As many of the wanted watchers as this process, and another with the same limit, have descriptors for. */
export function affordableWatchers(wanted: number): number {
  const limit = Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  return Math.min(wanted, limit - SPARE_DESCRIPTORS);
}

/** Invariant: each socket has one request open, except between a wake and `watch`. */
export class WatchCrowd {
  readonly #options: CrowdOptions;
  readonly #sockets: net.Socket[] = [];
  #index = '';
  #changedMs = 0;
  #woken = 0;
  #errors = 0;
  readonly #tookMs: Float64Array;

  constructor(options: CrowdOptions) {
    this.#options = options;
    this.#tookMs = new Float64Array(options.watchers);
  }

  /** Opens the connections. They have asked when this returns; whether they wait yet is the other side's to say. */
  async open(): Promise<void> {
    const { watchers } = this.#options;
    this.#index = await this.#currentIndex();
    for (let opened = 0; opened < watchers; opened += OPENING) {
      const batch = Array.from({ length: Math.min(OPENING, watchers - opened) }, () => this.#connect());
      for (const socket of await Promise.all(batch)) {
        this.#sockets.push(socket);
        socket.write(this.#question());
      }
    }
  }

  /** Sends a change and waits until all are woken, or for half a minute. */
  async wake(change: () => Promise<void>): Promise<Wake> {
    this.#woken = 0;
    this.#errors = 0;
    this.#changedMs = performance.now();
    let isChanged = true;
    const changed = change().catch((error: unknown) => {
      isChanged = false;
      this.#options.say(`the change failed: ${error instanceof Error ? error.message : String(error)}`);
    });
    const until = this.#changedMs + WOKEN_WITHIN_MS;
    while (isChanged && this.#woken + this.#errors < this.#options.watchers && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await changed;
    return {
      woken: this.#woken,
      errors: this.#errors + (this.#options.watchers - this.#woken - this.#errors),
      tookMs: this.#tookMs.slice(0, this.#woken).sort(),
    };
  }

  /** All ask again. */
  async watch(): Promise<void> {
    this.#index = await this.#currentIndex();
    for (const socket of this.#sockets) if (!socket.destroyed) socket.write(this.#question());
  }

  close(): void {
    for (const socket of this.#sockets) {
      socket.removeAllListeners('close');
      socket.destroy();
    }
  }

  #question(): Buffer {
    const { path, url } = this.#options;
    return Buffer.from(
      `GET ${path}?index=${this.#index}&wait=10m HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`,
      'latin1',
    );
  }

  async #currentIndex(): Promise<string> {
    const response = await fetch(new URL(this.#options.path, this.#options.url));
    await response.text();
    return response.headers.get('x-consul-index') ?? '';
  }

  #connect(): Promise<net.Socket> {
    const { url } = this.#options;
    return new Promise((resolve, reject) => {
      const onread = { buffer: received, callback: this.#reader() };
      const socket = net.connect({ host: url.hostname, port: Number(url.port), noDelay: true, onread });
      socket.once('connect', () => resolve(socket));
      socket.on('error', (error) => {
        socket.destroy();
        reject(error);
      });
      socket.on('close', () => this.#errors++);
    });
  }

  /** Counts whole answers with news as wake-ups, everything else as an error. */
  #reader(): (size: number, bytes: Uint8Array) => boolean {
    let head = '';
    let missing = 0;
    return (size, bytes) => {
      if (missing > 0) missing -= size;
      else {
        head += (bytes as Buffer).toString('latin1', 0, size);
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return true;
        missing = Number(/content-length: (\d+)/i.exec(head)?.[1]) - (head.length - end - 4);
      }
      if (missing > 0) return true;
      const isNews = head.startsWith('HTTP/1.1 200 ') && !head.includes(`X-Consul-Index: ${this.#index}\r\n`);
      if (isNews) this.#tookMs[this.#woken++] = performance.now() - this.#changedMs;
      else this.#errors++;
      head = '';
      missing = 0;
      return true;
    };
  }
}

/** Answers are looked at where they arrive: all connections read into the same memory, one after the other. */
const received = Buffer.allocUnsafeSlow(64 * 1024);

/** Nearest rank; NaN of nothing. */
export function quantileOf(ascending: Float64Array, q: number): number {
  return ascending[Math.ceil(ascending.length * q) - 1] ?? Number.NaN;
}
