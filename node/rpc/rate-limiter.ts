/** A token bucket: how many calls an agent may make to servers in a second. */

import type { Clock } from '../../shared/env.ts';

export interface RateLimit {
  /** Calls a second in the long run; 0 and below: as many as there are. */
  readonly perSecond: number;
  /** Calls that may come at once after a while without any, ≥ 1. */
  readonly burst: number;
}

export const NO_RATE_LIMIT: RateLimit = { perSecond: -1, burst: 1000 };

/** Invariant: 0 ≤ `#tokens` ≤ burst, as of `#atMs`. */
export class RateLimiter {
  readonly #clock: Clock;
  #limit: RateLimit;
  #tokens: number;
  #atMs: number;

  constructor(limit: RateLimit, clock: Clock) {
    this.#clock = clock;
    this.#limit = limit;
    this.#tokens = limit.burst;
    this.#atMs = clock.monotonicMs();
  }

  /** Begins anew with a full bucket. */
  set limit(limit: RateLimit) {
    this.#limit = limit;
    this.#tokens = limit.burst;
    this.#atMs = this.#clock.monotonicMs();
  }

  /** Whether one more call may be made now; it then counts. */
  allows(): boolean {
    const { perSecond, burst } = this.#limit;
    if (perSecond <= 0) return true;
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) / 1000) * perSecond);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
