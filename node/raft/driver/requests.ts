/** What callers of a `RaftNode` wait for: commands, membership changes, transfers of leadership and confirmed reads. */

import { ConsulError, refused } from '../../../shared/errors.ts';
import type { RaftCore } from '../core/core.ts';
import { asIndex } from '../core/entry.ts';
import type { Outcome } from '../core/input.ts';
import type { LogIndex, MembershipChange } from '../types.ts';
import { leadershipLost, notLeader, overloaded } from './errors.ts';
import { PendingEntries, type Waiter } from './pending.ts';

/** Callers of `changeMembership` that wait for the change before theirs. */
const MAX_WAITING_CHANGES = 16;

interface Proposal extends Waiter {
  readonly data: Uint8Array;
}

interface MembershipRequest extends Waiter {
  readonly change: MembershipChange;
}

interface ReadWaiter {
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: Error) => void;
}

interface Settler {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Invariant: a caller is in exactly one of the collections until it is answered. `#proposals` and `#changes` are not
 * yet in the log; `pending` are.
 */
export class Requests {
  readonly pending = new PendingEntries();
  #proposals: Proposal[] = [];
  #changes: MembershipRequest[] = [];
  #transfers: Settler[] = [];
  readonly #reads = new Map<number, ReadWaiter>();
  /** Confirmed reads that wait until their index is applied. */
  #confirmedReads: { readonly index: LogIndex; readonly waiter: ReadWaiter }[] = [];
  #nextReadContext = 1;

  propose(data: Uint8Array): Promise<{ readonly index: LogIndex; readonly result: unknown }> {
    return new Promise((resolve, reject) => {
      this.#proposals.push({ data, resolve, reject });
    });
  }

  /** @throws ConsulError when too many wait already */
  async changeMembership(change: MembershipChange): Promise<void> {
    if (this.#changes.length >= MAX_WAITING_CHANGES)
      throw overloaded('too many configuration changes are waiting');
    await new Promise((resolve, reject) => {
      this.#changes.push({ change, resolve, reject });
    });
  }

  /** @param start asks the core. Resolves when this server has stepped down. */
  transfer(start: () => Outcome): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#transfers.push({ resolve, reject });
      const outcome = start();
      if (outcome.kind !== 'refused') return;
      this.#transfers = this.#transfers.filter((waiting) => waiting.reject !== reject);
      reject(refusalError(outcome));
    });
  }

  /** @param start asks the core to confirm the read with this context */
  read(start: (context: number) => Outcome): Promise<LogIndex> {
    const context = this.#nextReadContext++;
    return new Promise((resolve, reject) => {
      this.#reads.set(context, { resolve, reject });
      const outcome = start(context);
      if (outcome.kind !== 'refused' || !this.#reads.delete(context)) return;
      reject(refusalError(outcome));
    });
  }

  /** Gives the core what came up in this turn: all commands as one batch, and changes as far as it takes them. */
  submit(core: RaftCore, nowMs: number): void {
    if (this.#proposals.length > 0) this.#submitProposals(core, nowMs);
    while (this.#changes.length > 0) {
      const request = this.#changes[0] as MembershipRequest;
      const outcome = core.step({ kind: 'change-membership', change: request.change }, nowMs);
      if (outcome.kind === 'refused' && outcome.reason === 'not-yet') return;
      this.#changes.shift();
      if (outcome.kind === 'appended') this.pending.add(outcome.firstIndex, outcome.term, request);
      else if (outcome.kind === 'refused') request.reject(refusalError(outcome));
    }
  }

  readsConfirmed(index: LogIndex, contexts: readonly number[]): void {
    for (const context of contexts) {
      const waiter = this.#reads.get(context);
      this.#reads.delete(context);
      if (waiter !== undefined) this.#confirmedReads.push({ index, waiter });
    }
  }

  readsFailed(contexts: readonly number[]): void {
    for (const context of contexts) {
      this.#reads.get(context)?.reject(notLeader());
      this.#reads.delete(context);
    }
  }

  /** Answers the confirmed reads that what is applied covers. */
  serveReads(appliedIndex: LogIndex): void {
    if (this.#confirmedReads.length === 0) return;
    const waiting = this.#confirmedReads;
    this.#confirmedReads = waiting.filter((read) => read.index > appliedIndex);
    for (const read of waiting) if (read.index <= appliedIndex) read.waiter.resolve(appliedIndex);
  }

  transferAborted(): void {
    for (const waiting of this.#transfers)
      waiting.reject(new ConsulError('timeout', 500, 'leadership transfer timeout', { applied: 'no' }));
    this.#transfers = [];
  }

  leadershipEnded(commitIndex: LogIndex): void {
    this.pending.leadershipLost(commitIndex);
    for (const request of this.#changes) request.reject(notLeader());
    this.#changes = [];
    for (const waiting of this.#transfers) waiting.resolve();
    this.#transfers = [];
    // Confirmed, but what they must see may now be long in coming; asking the next leader is not.
    for (const { waiter } of this.#confirmedReads) waiter.reject(notLeader());
    this.#confirmedReads = [];
  }

  /** Nothing is resolved any more. What was appended has an outcome that is not known here. */
  end(error: Error): void {
    this.pending.rejectAll(leadershipLost());
    for (const waiting of [...this.#proposals, ...this.#changes, ...this.#transfers]) waiting.reject(error);
    for (const waiting of this.#reads.values()) waiting.reject(error);
    for (const { waiter } of this.#confirmedReads) waiter.reject(error);
    this.#proposals = [];
    this.#changes = [];
    this.#transfers = [];
    this.#reads.clear();
    this.#confirmedReads = [];
  }

  #submitProposals(core: RaftCore, nowMs: number): void {
    const proposals = this.#proposals;
    this.#proposals = [];
    const commands = proposals.map((proposal) => proposal.data);
    const outcome = core.step({ kind: 'propose', commands }, nowMs);
    if (outcome.kind === 'appended') {
      let index: number = outcome.firstIndex;
      for (const proposal of proposals) this.pending.add(asIndex(index++), outcome.term, proposal);
    } else if (outcome.kind === 'refused') {
      for (const proposal of proposals) proposal.reject(refusalError(outcome));
    }
  }
}

function refusalError(outcome: Outcome & { readonly kind: 'refused' }): ConsulError {
  switch (outcome.reason) {
    case 'not-leader':
    case 'transferring':
      return notLeader(outcome.text);
    case 'not-yet':
    case 'invalid':
      return refused(outcome.text);
    case 'overloaded':
      return overloaded(outcome.text);
  }
}
