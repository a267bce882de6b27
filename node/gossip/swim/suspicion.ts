/** How long a suspected member may still refute (Lifeguard: Local Health Awareness for More Accurate Failure Detection, DSN 2018). */

export const SUSPICION_MAX_TIMEOUT_MULT = 6;

/**
 * The shortest suspicion in a pool of `nodes` members: a few probe rounds, more in larger pools, because news takes longer there.
 *
 * @param nodes all members known, dead ones included
 * @returns milliseconds, the scale cut to a thousandth as peers do
 */
export function suspicionMinMs(suspicionMult: number, nodes: number, probeIntervalMs: number): number {
  const scale = Math.max(1, Math.log10(Math.max(1, nodes)));
  return (suspicionMult * Math.trunc(scale * 1000) * probeIntervalMs) / 1000;
}

/** How many independent confirmations bring the timeout down to its minimum; 0 when too few members could confirm. */
export function expectedConfirmations(suspicionMult: number, nodes: number): number {
  const wanted = Math.max(0, suspicionMult - 2);
  return nodes - 2 < wanted ? 0 : wanted;
}

/**
 * Starts at `maxMs` and falls towards `minMs` on a log scale as independent members confirm the suspicion, so that one slow
 * observer cannot kill a healthy member.
 *
 * @param confirmations independent confirmations so far, 0 ≤ n ≤ `expected`; the first accuser does not count
 * @param elapsedMs     since the suspicion began, ≥ 0
 * @returns milliseconds left; ≤ 0 means now
 */
export function suspicionLeftMs(
  minMs: number,
  maxMs: number,
  expected: number,
  confirmations: number,
  elapsedMs: number,
): number {
  if (expected < 1) return minMs - elapsedMs;
  const fraction = Math.log(confirmations + 1) / Math.log(expected + 1);
  const raw = maxMs / 1000 - fraction * (maxMs / 1000 - minMs / 1000);
  return Math.max(minMs, Math.floor(raw * 1000)) - elapsedMs;
}

/** One running suspicion. Invariant: `accusers.size ≤ expected + 1`, the first accuser included. */
export interface Suspicion {
  readonly startedAtMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly expected: number;
  readonly accusers: Set<string>;
  /** When it ends, as it stands now; earlier deadlines that are still queued are void. */
  dueAtMs: number;
}

export function startSuspicion(
  suspicionMult: number,
  nodes: number,
  probeIntervalMs: number,
  accuser: string,
  nowMs: number,
): Suspicion {
  const minMs = suspicionMinMs(suspicionMult, nodes, probeIntervalMs);
  const maxMs = minMs * SUSPICION_MAX_TIMEOUT_MULT;
  const expected = expectedConfirmations(suspicionMult, nodes);
  const dueAtMs = nowMs + suspicionLeftMs(minMs, maxMs, expected, 0, 0);
  return { startedAtMs: nowMs, minMs, maxMs, expected, accusers: new Set([accuser]), dueAtMs };
}

/** Independent confirmations so far. */
export function confirmationsOf(suspicion: Suspicion): number {
  return suspicion.accusers.size - 1;
}

/** Counts an accuser; false when that one is known already or enough have confirmed. */
export function confirmSuspicion(suspicion: Suspicion, accuser: string, nowMs: number): boolean {
  const isEnough = confirmationsOf(suspicion) >= suspicion.expected;
  if (isEnough || suspicion.accusers.has(accuser)) return false;
  suspicion.accusers.add(accuser);
  const { minMs, maxMs, expected, startedAtMs } = suspicion;
  const confirmations = confirmationsOf(suspicion);
  const leftMs = suspicionLeftMs(minMs, maxMs, expected, confirmations, nowMs - startedAtMs);
  suspicion.dueAtMs = nowMs + Math.max(0, leftMs);
  return true;
}
