/** What gateways may share with each other: a bounded key-value store that forgets. Losing it loses no correctness. */

export interface SharedState {
  /** Never rejects: a store that can't answer has nothing. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Never rejects. `ttlMs` > 0. */
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Invariant: `#size` is the sum of the lengths in `#entries`, which are ordered from least to most recently used. */
class MemoryState implements SharedState {
  readonly #entries = new Map<string, { readonly value: Uint8Array; readonly expiresMs: number }>();
  readonly #maxBytes: number;
  readonly #nowMs: () => number;
  readonly #onForgotten: (key: string) => void;
  #size = 0;

  constructor(maxBytes: number, nowMs: () => number, onForgotten: (key: string) => void) {
    this.#maxBytes = maxBytes;
    this.#nowMs = nowMs;
    this.#onForgotten = onForgotten;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#drop(key);
    if (entry.expiresMs <= this.#nowMs()) return undefined;
    this.#put(key, entry);
    return entry.value;
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    this.#drop(key);
    if (value.length > this.#maxBytes) return this.#onForgotten(key);
    this.#put(key, { value, expiresMs: this.#nowMs() + ttlMs });
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#maxBytes) break;
      this.#drop(oldest);
      this.#onForgotten(oldest);
    }
  }

  async close(): Promise<void> {
    this.#entries.clear();
    this.#size = 0;
  }

  #put(key: string, entry: { readonly value: Uint8Array; readonly expiresMs: number }): void {
    this.#entries.set(key, entry);
    this.#size += entry.value.length;
  }

  #drop(key: string): void {
    this.#size -= this.#entries.get(key)?.value.length ?? 0;
    this.#entries.delete(key);
  }
}

/**
 * The store of one process.
 *
 * @param maxBytes values beyond it push out the least recently used
 * @param nowMs    monotonic
 * @param onForgotten told each key that was pushed out, or was too large to be kept
 */
export function createMemoryState(
  maxBytes: number,
  nowMs: () => number,
  onForgotten: (key: string) => void = () => undefined,
): SharedState {
  return new MemoryState(maxBytes, nowMs, onForgotten);
}
