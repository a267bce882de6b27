/** When a watched thing is asked for again and with which index. Pure. */

export interface Pace {
  /** 0: ask without waiting. */
  readonly index: number;
  /** Failures since the last answer. */
  readonly failures: number;
}

export type Outcome =
  /** `index` is undefined where the endpoint does not block. */
  { readonly kind: 'answer'; readonly index: number | undefined } | { readonly kind: 'failure' };

export interface Step {
  readonly pace: Pace;
  readonly delayMs: number;
}

export const START: Pace = { index: 0, failures: 0 };

/** What changes all the time is drawn a few times a second, not more. */
const GAP_MS = 250;
const POLL_MS = 10_000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;

/**
 * An index that goes backwards (a restored snapshot, another cluster) starts over. Failures double the delay from 1 s to
 * 30 s, of which a random half is left out, so that many browsers do not come back together.
 *
 * @param random 0 ≤ random < 1
 */
export function nextStep(pace: Pace, outcome: Outcome, random: number): Step {
  if (outcome.kind === 'failure') {
    const fullMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(pace.failures, 10));
    return { pace: { index: 0, failures: pace.failures + 1 }, delayMs: fullMs * (1 - random / 2) };
  }
  const { index } = outcome;
  if (index === undefined) return { pace: START, delayMs: POLL_MS };
  return { pace: { index: index < pace.index ? 0 : index, failures: 0 }, delayMs: GAP_MS };
}
