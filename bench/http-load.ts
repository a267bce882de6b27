/** A closed-loop HTTP/1.1 load: every connection sends its next request when the answer to the last is complete. */

import net from 'node:net';

export interface HttpLoad {
  readonly url: URL;
  readonly connections: number;
  /** How long requests are started; without it until `requests` have been. */
  readonly durationMs?: number;
  /** How many requests are started; without it as many as the time allows. */
  readonly requests?: number;
  /** The n-th request of all, as bytes on the wire. */
  readonly request: (n: number) => Buffer;
}

export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Latencies are counted in buckets of this many milliseconds, up to ten seconds. */
const BUCKET_MS = 0.05;
const BUCKETS = 200_000;

export async function runHttpLoad(load: HttpLoad): Promise<LoadResult> {
  const histogram = new Uint32Array(BUCKETS);
  const counts = { sent: 0, done: 0, errors: 0 };
  const started = performance.now();
  const until = started + (load.durationMs ?? Number.POSITIVE_INFINITY);
  await Promise.all(
    Array.from({ length: load.connections }, () => runConnection(load, until, histogram, counts)),
  );
  return summarise(histogram, counts, performance.now() - started);
}

interface Counts {
  sent: number;
  done: number;
  errors: number;
}

/** Answers are looked at where they arrive: all connections read into the same memory, one after the other. */
const RECEIVE_BYTES = 64 * 1024;

function runConnection(load: HttpLoad, until: number, histogram: Uint32Array, counts: Counts): Promise<void> {
  return new Promise((resolve) => {
    const limit = load.requests ?? Number.POSITIVE_INFINITY;
    let sentAt = 0;
    const reader = new ResponseReader();
    const next = (now: number) => {
      if (now >= until || counts.sent >= limit) {
        socket.destroy();
        resolve();
        return;
      }
      sentAt = now;
      socket.write(load.request(counts.sent++));
    };
    const receive = (size: number, bytes: Uint8Array): boolean => {
      const status = reader.push(bytes as Buffer, size);
      if (status === undefined) return true;
      const now = performance.now();
      const bucket = Math.min(BUCKETS - 1, Math.floor((now - sentAt) / BUCKET_MS));
      histogram[bucket] = (histogram[bucket] ?? 0) + 1;
      counts.done++;
      if (status !== 200) counts.errors++;
      next(now);
      return true;
    };
    const socket = net.connect({
      host: load.url.hostname,
      port: Number(load.url.port),
      noDelay: true,
      onread: { buffer: received, callback: receive },
    });
    socket.on('connect', () => next(performance.now()));
    socket.on('error', () => {
      counts.errors++;
      resolve();
    });
    // Whoever closes under a request has failed it.
    socket.on('end', () => counts.errors++);
    socket.on('close', () => resolve());
  });
}

const received = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
const HEAD_END = Buffer.from('\r\n\r\n', 'latin1');
const LAST_CHUNK = '0\r\n\r\n';

/**
 * Finds the end of one response at a time. Invariant: `#need` is the bytes still missing once the head is known, or -1;
 * `#head` is what came before it was.
 */
class ResponseReader {
  #head = '';
  #need = -1;
  #status = 0;
  #isChunked = false;

  /** @returns the status when the response is complete */
  push(bytes: Buffer, size: number): number | undefined {
    if (this.#isChunked) return this.#endsChunks(bytes, size) ? this.#reset() : undefined;
    if (this.#need < 0) {
      const bodyAt = this.#readHead(bytes, size);
      if (bodyAt === undefined) return undefined;
      if (this.#isChunked) return this.#endsChunks(bytes, size) ? this.#reset() : undefined;
      this.#need -= size - bodyAt;
    } else this.#need -= size;
    return this.#need > 0 ? undefined : this.#reset();
  }

  /** @returns where the body begins in these bytes */
  #readHead(bytes: Buffer, size: number): number | undefined {
    const found = this.#head === '' ? bytes.indexOf(HEAD_END) : -1;
    const earlier = this.#head.length;
    this.#head += bytes.toString('latin1', 0, found >= 0 && found < size ? found + HEAD_END.length : size);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    this.#status = Number(this.#head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1];
    this.#isChunked = length === undefined;
    this.#need = Number(length ?? -1);
    return end + HEAD_END.length - earlier;
  }

  #endsChunks(bytes: Buffer, size: number): boolean {
    return bytes.toString('latin1', Math.max(0, size - LAST_CHUNK.length), size) === LAST_CHUNK;
  }

  #reset(): number {
    this.#head = '';
    this.#need = -1;
    this.#isChunked = false;
    return this.#status;
  }
}

export function summarise(
  histogram: Uint32Array,
  counts: { done: number; errors: number },
  elapsedMs: number,
): LoadResult {
  return {
    requests: counts.done,
    errors: counts.errors,
    perSecond: (counts.done / elapsedMs) * 1000,
    p50: quantile(histogram, counts.done, 0.5),
    p99: quantile(histogram, counts.done, 0.99),
  };
}

function quantile(histogram: Uint32Array, total: number, q: number): number {
  let seen = 0;
  for (let i = 0; i < histogram.length; i++) {
    seen += histogram[i] ?? 0;
    if (seen >= total * q) return (i + 1) * BUCKET_MS;
  }
  return Number.NaN;
}

/** A request's bytes; `body` for writes. */
export function httpRequestBytes(method: string, url: URL, path: string, body?: Buffer): Buffer {
  const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`;
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: ${url.host}\r\n${length}\r\n`);
  return body === undefined ? head : Buffer.concat([head, body]);
}
