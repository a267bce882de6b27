/** Feeds committed entries to the state machine, in order and in runs, and tells who waits. */

import { applicableEntries, type RaftCore } from '../core/core.ts';
import type { LogEntry } from '../core/entry.ts';
import { asIndex } from '../core/entry.ts';
import type { LogIndex, StateMachine } from '../types.ts';
import type { PendingEntries } from './pending.ts';

/** One run holds the event loop no longer than this much work takes. */
const MAX_RUN_ENTRIES = 1024;
const MAX_RUN_BYTES = 4 * 1024 * 1024;

/** Invariant: all up to `appliedIndex`, and nothing after it, is in the state machine, unless it is being replaced. */
export class Applier {
  readonly #stateMachine: StateMachine;
  readonly #pending: PendingEntries;
  #appliedIndex: LogIndex;
  #isReplacing = false;

  constructor(stateMachine: StateMachine, pending: PendingEntries, appliedIndex: LogIndex) {
    this.#stateMachine = stateMachine;
    this.#pending = pending;
    this.#appliedIndex = appliedIndex;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get isReplacing(): boolean {
    return this.#isReplacing;
  }

  /**
   * Applies one run.
   *
   * @returns whether more is left
   * @throws what the state machine threw; the process must stop
   */
  run(core: RaftCore): boolean {
    if (this.#isReplacing || core.applicableIndex <= this.#appliedIndex) return false;
    const next = asIndex(this.#appliedIndex + 1);
    const entries = applicableEntries(core, next, MAX_RUN_ENTRIES, MAX_RUN_BYTES);
    for (const entry of entries) this.#apply(entry);
    this.#stateMachine.applied(this.#appliedIndex);
    return core.applicableIndex > this.#appliedIndex;
  }

  /** Replaces the state by a snapshot's. When `restore` rejects, the old state stays. */
  async replace(index: LogIndex, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#isReplacing = true;
    try {
      await this.#stateMachine.restore(chunks);
      this.#appliedIndex = index;
      this.#pending.skippedTo(index);
    } finally {
      this.#isReplacing = false;
    }
    this.#stateMachine.applied(index);
  }

  #apply(entry: LogEntry): void {
    const result =
      entry.kind === 'command' ? this.#stateMachine.apply(entry.data, entry.index, entry.term) : undefined;
    this.#appliedIndex = entry.index;
    this.#pending.applied(entry.index, entry.term, result);
  }
}
