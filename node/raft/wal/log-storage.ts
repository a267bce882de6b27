/** Where the log is kept: files for a server that must survive, nothing for one that need not (`-dev`). */

import type { Configuration } from '../core/configuration.ts';
import { type HardState, type LogEntry, ZERO_INDEX, ZERO_TERM } from '../core/entry.ts';
import type { LogIndex, Term } from '../types.ts';
import type { WalItem } from './record.ts';

/** What a log holds when it is opened. */
export interface StoredLog {
  readonly hardState: HardState;
  /** Consecutive. */
  readonly entries: readonly LogEntry[];
  /** The snapshot that the log was last replaced by, if the first entry (or the end) follows it. */
  readonly reset: { readonly index: LogIndex; readonly term: Term } | undefined;
  /** At least this much was committed, ≤ the last entry. */
  readonly commitIndex: LogIndex;
  /** Membership set by an operator's recovery and not yet replaced by an entry. */
  readonly recovery: Configuration | undefined;
}

export interface LogStorage {
  /** Reads everything. Called once, before anything else. Rejects when the log is damaged. */
  load(): Promise<StoredLog>;
  /**
   * Resolves when the items are durable. Calls must not overlap. After a rejection the log must not be used, unless
   * it was with `isDiskFull`: then nothing was appended, and the same may be tried again.
   */
  append(items: readonly WalItem[]): Promise<void>;
  /** Entries up to `index` are no longer needed. */
  compact(index: LogIndex): Promise<void>;
  close(): Promise<void>;
}

export const EMPTY_LOG: StoredLog = {
  hardState: { term: ZERO_TERM, vote: undefined },
  entries: [],
  reset: undefined,
  commitIndex: ZERO_INDEX,
  recovery: undefined,
};

/** Keeps nothing: what is appended is durable at once, for as long as the process lives. */
export function createVolatileLog(): LogStorage {
  const done = Promise.resolve();
  return {
    load: async () => EMPTY_LOG,
    append: () => done,
    compact: () => done,
    close: () => done,
  };
}
