/** One budget for all repeated attempts: a pool in trouble gets a bounded amount of extra load, not a storm. */

export interface RetryBudget {
  /** Every first attempt earns a fraction of a retry. */
  earn(): void;
  /** @returns whether a retry may start now */
  spend(nowMs: number): boolean;
}

/**
 * A bucket: full at `burst`, refilled by `perSecond` and by `share` for each first attempt. A caller that gets no
 * retry waits and asks again until its deadline; the budget slows retries down and doesn't turn them into errors.
 */
export function createRetryBudget({ burst = 500, perSecond = 50, share = 0.2 } = {}): RetryBudget {
  let tokens = burst;
  let refilledAtMs = Number.NEGATIVE_INFINITY;
  return {
    earn: () => {
      tokens = Math.min(burst, tokens + share);
    },
    spend: (nowMs) => {
      const elapsedMs = refilledAtMs === Number.NEGATIVE_INFINITY ? 0 : nowMs - refilledAtMs;
      refilledAtMs = nowMs;
      tokens = Math.min(burst, tokens + (elapsedMs * perSecond) / 1000);
      if (tokens < 1) return false;
      tokens--;
      return true;
    },
  };
}
