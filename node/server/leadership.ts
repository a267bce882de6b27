/** Who leads, as this server knows it, and a way to wait until that may have changed. */

import { type Env, randomInt, type Timer } from '../../shared/env.ts';
import { ConsulError } from '../../shared/errors.ts';
import type { RaftEvent, RaftNode } from '../raft/types.ts';

/** How long an answer about the last contact is taken for current: asking Raft for each stale read costs more. */
const CONTACT_CACHE_MS = 10;

export interface LastContact {
  /** Milliseconds since a leader was heard of; undefined when never, or when nothing came from it yet. 0 on the leader. */
  readonly ms: number | undefined;
  readonly knownLeader: boolean;
}

/**
 * Invariant: `isReady` implies `isLeader`; it becomes true once everything that earlier leaders committed is applied
 * here. `leaderAddress` is '' when nobody is known to lead, and never this server's unless it leads.
 */
export class Leadership {
  readonly #raft: RaftNode;
  readonly #env: Env;
  #isLeader = false;
  #isReady = false;
  #leaderAddress = '';
  #contact: LastContact = { ms: undefined, knownLeader: false };
  #contactAtMs = Number.NEGATIVE_INFINITY;
  #waiters = new Set<(error?: ConsulError) => void>();
  #isClosed = false;

  constructor(raft: RaftNode, env: Env) {
    this.#raft = raft;
    this.#env = env;
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** `host:port` of the leader's RPC listener, '' when none is known. */
  get leaderAddress(): string {
    return this.#leaderAddress;
  }

  /** Takes over what Raft reports. @returns whether this server has just lost leadership */
  update(event: Extract<RaftEvent, { kind: 'leadership' }>): boolean {
    const wasLeader = this.#isLeader;
    this.#isLeader = event.role === 'leader';
    if (!this.#isLeader) this.#isReady = false;
    this.#leaderAddress = event.leader?.address ?? '';
    this.#contactAtMs = Number.NEGATIVE_INFINITY;
    this.#wake();
    return wasLeader && !this.#isLeader;
  }

  /** The barrier after the election has passed. */
  markReady(): void {
    this.#isReady = this.#isLeader;
    this.#wake();
  }

  /** Whether reads may be answered from memory under the leader's lease. */
  canReadUnderLease(): boolean {
    return this.#isReady && this.#raft.hasLease();
  }

  contact(): LastContact {
    if (this.#isLeader) return { ms: 0, knownLeader: true };
    const nowMs = this.#env.clock.monotonicMs();
    const ageMs = nowMs - this.#contactAtMs;
    if (ageMs <= CONTACT_CACHE_MS) {
      const { ms, knownLeader } = this.#contact;
      return { ms: ms === undefined ? undefined : ms + ageMs, knownLeader };
    }
    const status = this.#raft.status();
    // A new server that has heard its leader, but has got nothing from it yet, knows less than none.
    const ms = status.appliedIndex === 0 ? undefined : status.lastContactMs;
    this.#contact = { ms, knownLeader: status.leader !== undefined };
    this.#contactAtMs = nowMs;
    return this.#contact;
  }

  /**
   * Resolves when anything about leadership changed, at the latest after a random part of `atMostMs`.
   * Rejects with the signal's reason, or when this server stops.
   */
  changed(atMostMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted || this.#isClosed) {
        reject(signal?.aborted ? signal.reason : shuttingDown());
        return;
      }
      let timer: Timer | undefined;
      const end = () => {
        timer?.cancel();
        signal?.removeEventListener('abort', onAbort);
        this.#waiters.delete(onChange);
      };
      const onChange = (error?: ConsulError) => {
        end();
        if (error === undefined) resolve();
        else reject(error);
      };
      const onAbort = () => {
        end();
        reject(signal?.reason);
      };
      timer = this.#env.clock.setTimer(1 + randomInt(this.#env.random, Math.max(1, atMostMs)), () =>
        onChange(),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(onChange);
    });
  }

  /** Ends every wait. */
  close(): void {
    this.#isClosed = true;
    this.#wake(shuttingDown());
  }

  #wake(error?: ConsulError): void {
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const wake of waiters) wake(error);
  }
}

function shuttingDown(): ConsulError {
  return new ConsulError('shutting-down', 500, 'agent is shutting down');
}

/** Nothing was appended or read: somebody else leads. */
export function notLeader(): ConsulError {
  return new ConsulError('not-leader', 500, 'node is not the leader');
}
