/** What a read of the state says besides its value: what it looked at and how new that is. */

import type { Tables } from './tables.ts';

/** Something that can change: `service:web`, `kv:prefix/`, `nodes`. Made only by the functions of state/topics. */
export type Topic = string;

export interface QueryResult<T> {
  /**
   * The same reference while none of the topics has moved, and a new one whenever the content has changed; callers
   * never mutate it.
   */
  readonly value: T;
  /** Highest last-change index among what was looked at (reference: index source per endpoint), ≥ 1. */
  readonly index: number;
  /** A change of any of these wakes who waits for another answer. Never empty for a blocking read. */
  readonly topics: readonly Topic[];
}

/** What a query function finds: a result whose index can be asked for again as long as the value stands. */
export interface Answer<T> {
  readonly value: T;
  /** The index now: it may rise without the value changing. */
  indexOf(tables: Tables): number;
  readonly topics: readonly Topic[];
  /** Changes of these change the value too (its order), but neither raise the index nor wake anyone. */
  readonly unwatched?: readonly Topic[];
  /** About how much memory the value holds on its own, to bound what is kept. */
  readonly weightBytes?: number;
}
