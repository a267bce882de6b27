/** The deadline for finding somebody who can answer: seven seconds of failures, not of useful waiting. */

import type { Env } from '../../shared/env.ts';
import { type ConsulError, noClusterLeader } from '../../shared/errors.ts';
import { mayRetry } from './rpc-errors.ts';

/** Consul's rpc_hold_timeout. */
export const DEFAULT_HOLD_MS = 7000;
/** One pause between attempts is at most this fraction of the hold time. */
const PAUSE_FRACTION = 16;

/**
 * Invariant: `#failingSinceMs` is when the current run of failures began; a blocking attempt that lasted longer than the
 * hold time (its server died after a while) begins a new run.
 */
export class Hold {
  readonly #env: Env;
  readonly #holdMs: number;
  readonly #isBlocking: boolean;
  #failingSinceMs: number;
  #attemptAtMs: number;

  /** @param isBlocking an attempt may rightly last longer than the hold time */
  constructor(env: Env, holdMs: number, isBlocking = false) {
    this.#env = env;
    this.#holdMs = holdMs;
    this.#isBlocking = isBlocking;
    this.#failingSinceMs = env.clock.monotonicMs();
    this.#attemptAtMs = this.#failingSinceMs;
  }

  /** Longest pause before the next attempt, milliseconds. */
  get pauseMs(): number {
    return Math.max(1, this.#holdMs / PAUSE_FRACTION);
  }

  beginAttempt(): void {
    this.#attemptAtMs = this.#env.clock.monotonicMs();
  }

  /**
   * Returns when another attempt is allowed.
   *
   * @throws the failure when it must not be retried; what the caller is to see when the time is over
   */
  checkRetry(failure: ConsulError, kind: 'read' | 'write'): void {
    if (!mayRetry(failure, kind)) throw failure;
    const nowMs = this.#env.clock.monotonicMs();
    if (this.#isBlocking && nowMs - this.#attemptAtMs >= this.#holdMs) this.#failingSinceMs = nowMs;
    if (nowMs - this.#failingSinceMs < this.#holdMs) return;
    throw failure.code === 'not-leader' || failure.code === 'no-leader' ? noClusterLeader() : failure;
  }
}
