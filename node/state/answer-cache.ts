/** Answers kept until something that they looked at changes, so that asking again costs a look-up. */

import type { Tables } from './tables.ts';
import type { Answer, QueryResult } from './types.ts';
import type { WatchRegistry } from './watch-registry.ts';

interface Kept {
  readonly answer: Answer<unknown>;
  readonly weightBytes: number;
  readonly release: () => void;
}

export interface AnswerCacheLimits {
  readonly answers: number;
  readonly bytes: number;
}

const DEFAULT_LIMITS: AnswerCacheLimits = { answers: 8192, bytes: 64 << 20 };
const DEFAULT_WEIGHT_BYTES = 512;

/** Invariant: `#bytes` is the sum of the weights of `#kept`; both stay within the limits; oldest use comes first. */
export class AnswerCache {
  readonly #kept = new Map<string, Kept>();
  readonly #watches: WatchRegistry;
  readonly #limits: AnswerCacheLimits;
  #bytes = 0;

  constructor(watches: WatchRegistry, limits: AnswerCacheLimits = DEFAULT_LIMITS) {
    this.#watches = watches;
    this.#limits = limits;
  }

  get size(): number {
    return this.#kept.size;
  }

  /**
   * The kept answer for the key, or a new one. What `ask` throws is passed on and not kept.
   *
   * @param key names the question completely: equal keys must mean equal answers of one type
   */
  read<T>(tables: Tables, key: string, ask: (tables: Tables) => Answer<T>): QueryResult<T> {
    const found = this.#kept.get(key);
    if (found !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
      return resultOf(tables, found.answer as Answer<T>);
    }
    const answer = ask(tables);
    this.#keep(key, answer);
    return resultOf(tables, answer);
  }

  #keep(key: string, answer: Answer<unknown>): void {
    const weightBytes = (answer.weightBytes ?? DEFAULT_WEIGHT_BYTES) + 2 * key.length;
    if (weightBytes > this.#limits.bytes / 4) return;
    const topics = answer.unwatched === undefined ? answer.topics : [...answer.topics, ...answer.unwatched];
    const release = this.#watches.onTouch(topics, () => this.#forget(key));
    this.#kept.set(key, { answer, weightBytes, release });
    this.#bytes += weightBytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#limits.answers && this.#bytes <= this.#limits.bytes) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= kept.weightBytes;
    kept.release();
  }
}

function resultOf<T>(tables: Tables, answer: Answer<T>): QueryResult<T> {
  return { value: answer.value, index: Math.max(1, answer.indexOf(tables)), topics: answer.topics };
}
