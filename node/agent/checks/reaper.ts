/** Which services go because a check of theirs has been critical for too long (`deregister_critical_service_after`). */

export const REAP_INTERVAL_MS = 30_000;
export const MIN_DEREGISTER_AFTER_MS = 60_000;

export interface ReapCandidate {
  readonly checkId: string;
  /** '' for a check of the node: never a reason. */
  readonly serviceId: string;
  /** Monotonic time of the report that made it critical; undefined while it is not. */
  readonly criticalSinceMs: number | undefined;
  /** 0: never. */
  readonly deregisterAfterMs: number;
}

/** The wish, raised to the minimum; 0 stays 0. */
export function deregisterAfterMs(wishedMs: number): number {
  return wishedMs <= 0 ? 0 : Math.max(wishedMs, MIN_DEREGISTER_AFTER_MS);
}

/** Each service once, with the first check that condemns it. */
export function servicesToReap(candidates: Iterable<ReapCandidate>, nowMs: number): Map<string, string> {
  const condemned = new Map<string, string>();
  for (const check of candidates) {
    if (check.serviceId === '' || check.deregisterAfterMs === 0 || check.criticalSinceMs === undefined)
      continue;
    const isOverdue = nowMs - check.criticalSinceMs > check.deregisterAfterMs;
    if (isOverdue && !condemned.has(check.serviceId)) condemned.set(check.serviceId, check.checkId);
  }
  return condemned;
}
