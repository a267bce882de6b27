/** The replicated state as its readers, its watchers and the log see it. */

import { AnswerCache } from './answer-cache.ts';
import type { Change } from './change.ts';
import { Restore } from './restore.ts';
import { readSnapshot, snapshotChunks } from './snapshot.ts';
import { indexOffset, restoredIndex } from './table-indexes.ts';
import { Tables, transact } from './tables.ts';
import type { Answer, QueryResult, Topic } from './types.ts';
import { WatchRegistry } from './watch-registry.ts';

/** A point-in-time view of the state; `release` lets go of it. */
export interface StoreSnapshot {
  /** Pieces of at most 1 MiB, each good until the next is asked for. Equal states give equal bytes. */
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

  /** Counts how often the whole state was replaced. */
  readonly generation: number;
  /** How far the indexes of changes are ahead of those of the log, ≥ 0. See `restore`. */
  readonly indexOffset: number;
  /** The user's restore that was begun and has not ended. */
  readonly pendingRestore: string | undefined;

  /** For the state machine alone: makes a change at an index of the log. When `make` throws, nothing of it is left. */
  transact<T>(index: number, nowMs: number, make: (change: Change) => T): T;
  /** For the state machine alone: as `transact`, for a `make` that throws only before it changes anything. */
  change<T>(index: number, nowMs: number, make: (change: Change) => T): T;
  /** For the state machine alone: the steps of a user's restore. @throws Refusal, and the state stays */
  beginRestore(id: string): void;
  addRestorePiece(id: string, sequence: number, bytes: Uint8Array): void;
  abortRestore(id: string): void;
  /** Replaces the whole state; everyone is woken with the next `wakeWatchers`. @returns the index of this change */
  finishRestore(id: string, pieces: number, snapshotIndex: number, logIndex: number): number;
  /** For the state machine alone: wakes who waits for what has changed. */
  wakeWatchers(): void;
  snapshot(): StoreSnapshot;
  /** Replaces the whole state and wakes everyone. Rejects, and leaves the state, when the bytes are no snapshot. */
  restore(chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

export function createStore(): Store {
  return new TableStore();
}

/** Invariant: `#offset` and `#floor` are what the tables' `indexOffset` and `restoredIndex` say. */
class TableStore implements Store {
  #tables = new Tables();
  #generation = 0;
  #offset = 0;
  #floor = 0;
  readonly #restore = new Restore();
  readonly #watches = new WatchRegistry();
  readonly #answers = new AnswerCache(this.#watches);

  get tables(): Tables {
    return this.#tables;
  }

  get generation(): number {
    return this.#generation;
  }

  get indexOffset(): number {
    return this.#offset;
  }

  get pendingRestore(): string | undefined {
    return Restore.pendingId(this.#tables);
  }

  read<T>(key: string, ask: (tables: Tables) => Answer<T>): QueryResult<T> {
    const result = this.#answers.read(this.#tables, key, ask);
    // What a watcher saw before a restore may be newer than what the snapshot says; it must not see time go back.
    return result.index >= this.#floor ? result : { ...result, index: this.#floor };
  }

  watch(topics: readonly Topic[], wake: () => void): () => void {
    return this.#watches.watch(topics, wake);
  }

  transact<T>(index: number, nowMs: number, make: (change: Change) => T): T {
    return transact(this.#tables, () => this.change(index, nowMs, make));
  }

  change<T>(index: number, nowMs: number, make: (change: Change) => T): T {
    return make({ tables: this.#tables, watches: this.#watches, index: index + this.#offset, nowMs });
  }

  beginRestore(id: string): void {
    this.#restore.begin(this.#tables, id);
  }

  addRestorePiece(id: string, sequence: number, bytes: Uint8Array): void {
    this.#restore.add(this.#tables, id, sequence, bytes);
  }

  abortRestore(id: string): void {
    this.#restore.abort(this.#tables, id);
  }

  finishRestore(id: string, pieces: number, snapshotIndex: number, logIndex: number): number {
    this.#replace(this.#restore.finish(this.#tables, id, pieces, snapshotIndex, logIndex));
    return this.#floor;
  }

  wakeWatchers(): void {
    this.#watches.flush();
  }

  snapshot(): StoreSnapshot {
    return snapshotChunks(this.#tables);
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#replace(await readSnapshot(chunks));
    this.#restore.reset();
    this.#watches.flush();
  }

  #replace(tables: Tables): void {
    this.#tables = tables;
    this.#generation++;
    this.#offset = indexOffset(tables);
    this.#floor = restoredIndex(tables);
    this.#watches.touchAll();
  }
}
