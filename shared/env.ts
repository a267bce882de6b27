/** The only door to time and randomness: everything else receives an `Env`, so that a simulator can supply both. */

/** A pending timer. Cancelling one that has fired or was cancelled before does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, milliseconds since the Unix epoch. May jump; only for what people or peers read. */
  nowMs(): number;
  /** Milliseconds since an arbitrary origin, never decreasing, fractions allowed. For measuring and deadlines. */
  monotonicMs(): number;
  /**
   * Calls `fire` once, no sooner than `delayMs` (≥ 0, capped at 2^31 − 1) from now.
   * A real timer does not keep the process alive unless `keepAlive` is true.
   */
  setTimer(delayMs: number, fire: () => void, keepAlive?: boolean): Timer;
}

export interface Random {
  /** A float, 0 ≤ x < 1. */
  next(): number;
  /** `length` random bytes, fit for secrets in the real environment. */
  bytes(length: number): Uint8Array;
}

export interface Env {
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** The real clock and random source. Uses Web APIs only, so that it runs on Node and on Workers. */
export const realEnv: Env = {
  clock: {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    setTimer(delayMs, fire, keepAlive = false) {
      const handle: unknown = setTimeout(fire, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
      if (!keepAlive && hasUnref(handle)) handle.unref();
      return { cancel: () => clearTimeout(handle as Parameters<typeof clearTimeout>[0]) };
    },
  },
  random: {
    next: () => Math.random(),
    bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  },
};

/** An integer, 0 ≤ n < `bound`. */
export function randomInt(random: Random, bound: number): number {
  return Math.floor(random.next() * bound);
}

/** Shuffles in place (Fisher–Yates) and returns the same array. */
export function shuffle<T>(random: Random, items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = randomInt(random, i + 1);
    const held = items[i] as T;
    items[i] = items[j] as T;
    items[j] = held;
  }
  return items;
}

/** A random UUID in lower-case text, version and variant bits not set: Consul's are 16 plain random bytes. */
export function randomUuid(random: Random): string {
  const hex = Array.from(random.bytes(16), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Resolves after `delayMs` on the given clock; rejects with the signal's reason when aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function hasUnref(handle: unknown): handle is { unref(): void } {
  return typeof handle === 'object' && handle !== null && 'unref' in handle;
}
