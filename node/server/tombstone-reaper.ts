/** Forgets deletions of keys after a quarter of an hour, in steps, on the leader. */

import type { Env, Timer } from '../../shared/env.ts';

const STEP_MS = 30_000;
/** How long a deletion is remembered: blocking queries on the prefix must see it (reference: sessions, tombstones). */
const KEEP_MS = 15 * 60_000;

export interface TombstoneReaperOptions {
  readonly env: Env;
  /** The newest applied log index. */
  readonly appliedIndex: () => number;
  /** Logs that deletions up to the index are forgotten. Failures are the caller's to log. */
  readonly reap: (upToIndex: number) => Promise<void>;
}

/** Invariant: `#due` is ordered by time and by index, and holds at most one entry per step. */
export class TombstoneReaper {
  readonly #o: TombstoneReaperOptions;
  readonly #due: { readonly atMs: number; readonly index: number }[] = [];
  #hasNewDeletions = true;
  #timer: Timer | undefined;

  constructor(options: TombstoneReaperOptions) {
    this.#o = options;
  }

  start(): void {
    this.#timer = this.#o.env.clock.setTimer(STEP_MS, () => this.#step());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Something was applied that may have deleted keys. Idle clusters must not log anything. */
  noteDeletion(): void {
    this.#hasNewDeletions = true;
  }

  #step(): void {
    this.#timer = this.#o.env.clock.setTimer(STEP_MS, () => this.#step());
    const nowMs = this.#o.env.clock.monotonicMs();
    if (this.#hasNewDeletions) this.#due.push({ atMs: nowMs + KEEP_MS, index: this.#o.appliedIndex() });
    this.#hasNewDeletions = false;
    let upToIndex = 0;
    while (this.#due[0] !== undefined && this.#due[0].atMs <= nowMs)
      upToIndex = this.#due.shift()?.index ?? upToIndex;
    if (upToIndex > 0) void this.#o.reap(upToIndex);
  }
}
