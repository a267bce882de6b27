/** The replicated state as its readers, its watchers and the log see it. */

import { AnswerCache } from './answer-cache.ts';
import type { Change } from './change.ts';
import { readSnapshot, snapshotChunks } from './snapshot.ts';
import { Tables, transact } from './tables.ts';
import type { Answer, QueryResult, Topic } from './types.ts';
import { WatchRegistry } from './watch-registry.ts';

/** A point-in-time view of the state; `release` lets go of it. */
export interface StoreSnapshot {
  /** Pieces of at most 1 MiB. Equal states give equal bytes. */
  chunks(): AsyncIterable<Uint8Array>;
  release(): void;
}

export interface Store {
  /** The state now, for the query functions of this folder. Don't keep it: `restore` replaces it. */
  readonly tables: Tables;

  /**
   * Asks a question, or returns what it was answered while nothing that it looked at has changed since: then the
   * value is the same object. The cache is bounded, so a question long not asked may get a new object.
   *
   * @param key names the question with all its arguments
   */
  read<T>(key: string, ask: (tables: Tables) => Answer<T>): QueryResult<T>;

  /**
   * Calls `wake` once when any of the topics has changed, after the batch of commands that did it. Call it in the
   * same turn of the event loop as the read that it continues, so that no change falls between.
   *
   * @returns ends the wait; harmless when it is over
   */
  watch(topics: readonly Topic[], wake: () => void): () => void;

  /** For the state machine alone: makes a change. When `make` throws, nothing of it is left. */
  transact<T>(index: number, nowMs: number, make: (change: Change) => T): T;
  /** For the state machine alone: as `transact`, for a `make` that throws only before it changes anything. */
  change<T>(index: number, nowMs: number, make: (change: Change) => T): T;
  /** For the state machine alone: wakes who waits for what has changed. */
  wakeWatchers(): void;
  snapshot(): StoreSnapshot;
  /** Replaces the whole state and wakes everyone. Rejects, and leaves the state, when the bytes are no snapshot. */
  restore(chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

export function createStore(): Store {
  return new TableStore();
}

class TableStore implements Store {
  #tables = new Tables();
  readonly #watches = new WatchRegistry();
  readonly #answers = new AnswerCache(this.#watches);

  get tables(): Tables {
    return this.#tables;
  }

  read<T>(key: string, ask: (tables: Tables) => Answer<T>): QueryResult<T> {
    return this.#answers.read(this.#tables, key, ask);
  }

  watch(topics: readonly Topic[], wake: () => void): () => void {
    return this.#watches.watch(topics, wake);
  }

  transact<T>(index: number, nowMs: number, make: (change: Change) => T): T {
    return transact(this.#tables, () => this.change(index, nowMs, make));
  }

  change<T>(index: number, nowMs: number, make: (change: Change) => T): T {
    return make({ tables: this.#tables, watches: this.#watches, index, nowMs });
  }

  wakeWatchers(): void {
    this.#watches.flush();
  }

  snapshot(): StoreSnapshot {
    return snapshotChunks(this.#tables);
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#tables = await readSnapshot(chunks);
    this.#watches.touchAll();
    this.#watches.flush();
  }
}
