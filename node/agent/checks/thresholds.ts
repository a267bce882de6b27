/** Decides when a probe's result becomes the check's status: after enough consecutive results of one class. */

import type { CheckResult } from './types.ts';

export interface Thresholds {
  /** Consecutive passing or warning results needed; 0 and 1 mean the first. */
  readonly successBeforePassing: number;
  /** Consecutive critical results needed; 0 and 1 mean the first. */
  readonly failuresBeforeCritical: number;
}

export interface Counters {
  readonly successes: number;
  readonly failures: number;
}

export interface Verdict {
  readonly counters: Counters;
  /** Whether the result is to be reported. */
  readonly applies: boolean;
}

/** Full counters: the very first result applies whatever the thresholds are. */
export function initialCounters(thresholds: Thresholds): Counters {
  return { successes: thresholds.successBeforePassing, failures: thresholds.failuresBeforeCritical };
}

/** Counts one result. A result of one class clears the counter of the other. */
export function judge(counters: Counters, thresholds: Thresholds, result: CheckResult): Verdict {
  if (result.status === 'critical') {
    const failures = counters.failures + 1;
    return { counters: { successes: 0, failures }, applies: failures >= thresholds.failuresBeforeCritical };
  }
  const successes = counters.successes + 1;
  return { counters: { successes, failures: 0 }, applies: successes >= thresholds.successBeforePassing };
}
