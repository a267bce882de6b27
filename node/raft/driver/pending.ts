/** Callers that wait for an entry of theirs to be applied here. */

import type { LogIndex, Term } from '../types.ts';
import { leadershipLost } from './errors.ts';

export interface Waiter {
  readonly resolve: (value: { readonly index: LogIndex; readonly result: unknown }) => void;
  readonly reject: (error: Error) => void;
}

/** Bounded by what the leader may hold uncommitted (see `maxUncommittedBytes`). */
export class PendingEntries {
  readonly #waiting = new Map<LogIndex, { readonly term: Term; readonly waiter: Waiter }>();

  add(index: LogIndex, term: Term, waiter: Waiter): void {
    this.#waiting.set(index, { term, waiter });
  }

  /** The entry at `index` was applied. If it is of another term, another leader's took the caller's place. */
  applied(index: LogIndex, term: Term, result: unknown): void {
    const found = this.#waiting.get(index);
    if (found === undefined) return;
    this.#waiting.delete(index);
    if (found.term === term) found.waiter.resolve({ index, result });
    else found.waiter.reject(leadershipLost());
  }

  /** This server no longer leads: what is not known to be committed may or may not ever be. */
  leadershipLost(commitIndex: LogIndex): void {
    for (const [index, { waiter }] of this.#waiting) {
      if (index <= commitIndex) continue;
      this.#waiting.delete(index);
      waiter.reject(leadershipLost());
    }
  }

  /** All up to `index` came by a snapshot: what became of each is not known here. */
  skippedTo(index: LogIndex): void {
    for (const [at, { waiter }] of this.#waiting) {
      if (at > index) continue;
      this.#waiting.delete(at);
      waiter.reject(leadershipLost());
    }
  }

  rejectAll(error: Error): void {
    for (const { waiter } of this.#waiting.values()) waiter.reject(error);
    this.#waiting.clear();
  }
}
