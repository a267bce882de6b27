/** The circuit breaker of one agent as a state machine: what its failures and answers make of it. Pure. */

/**
 * - `closed`: gets its share of requests, a growing one for a while after it has come back.
 * - `open`: gets none until its time is over.
 * - `half-open`: its time is over and one trial is under way; what comes of it decides.
 */
export type Circuit =
  | {
      readonly state: 'closed';
      /** Requests in a row that got no answer in time. */
      readonly silences: number;
      readonly recoveredAtMs: number | undefined;
    }
  | {
      readonly state: 'open';
      /** Times in a row that it opened. */
      readonly trips: number;
      readonly untilMs: number;
      /** Slow answers don't show that a slow agent is well again. */
      readonly isSlow: boolean;
    }
  | { readonly state: 'half-open'; readonly trips: number; readonly trialEndsMs: number };

/**
 * - `answered`: any answer at all.
 * - `broken`: a connection failed or broke.
 * - `silent`: no answer in time.
 * - `slow`: answers take much longer than the others'.
 * - `trial`: a request is sent although the circuit was open.
 */
export type CircuitEvent = 'answered' | 'broken' | 'silent' | 'slow' | 'trial';

export const CLOSED: Circuit = { state: 'closed', silences: 0, recoveredAtMs: undefined };

const OPEN_BASE_MS = 500;
const OPEN_MAX_MS = 30_000;
const SLOW_START_MS = 10_000;
/** One slow request is no silent agent. */
const MAX_SILENCES = 3;
/** A trial that was never heard of again makes room for another. */
const TRIAL_MS = 10_000;

/** @param jitter 0 ≤ x < 1, drawn anew for each step */
export function step(circuit: Circuit, event: CircuitEvent, nowMs: number, jitter: number): Circuit {
  switch (event) {
    case 'answered':
      return answered(circuit, nowMs);
    case 'silent':
      if (circuit.state === 'closed' && circuit.silences + 1 < MAX_SILENCES)
        return { ...circuit, silences: circuit.silences + 1 };
      return opened(circuit, nowMs, jitter, false);
    case 'broken':
      return opened(circuit, nowMs, jitter, false);
    case 'slow':
      return circuit.state === 'closed' ? opened(circuit, nowMs, jitter, true) : circuit;
    case 'trial':
      return circuit.state === 'closed'
        ? circuit
        : { state: 'half-open', trips: circuit.trips, trialEndsMs: nowMs + TRIAL_MS };
  }
}

function answered(circuit: Circuit, nowMs: number): Circuit {
  if (circuit.state === 'closed') return circuit.silences === 0 ? circuit : { ...circuit, silences: 0 };
  if (circuit.state === 'open' && circuit.isSlow && nowMs < circuit.untilMs) return circuit;
  return { state: 'closed', silences: 0, recoveredAtMs: nowMs };
}

/** For 0.5 s, doubling up to 30 s, ± 20 %. */
function opened(circuit: Circuit, nowMs: number, jitter: number, isSlow: boolean): Circuit {
  const trips = circuit.state === 'closed' ? 1 : circuit.trips + 1;
  const backoffMs = Math.min(OPEN_MAX_MS, OPEN_BASE_MS * 2 ** Math.min(trips - 1, 16));
  return { state: 'open', trips, untilMs: nowMs + backoffMs * (0.8 + 0.4 * jitter), isSlow };
}

/** Whether a request may be sent: any, one as a trial, or none. */
export function admits(circuit: Circuit, nowMs: number): 'all' | 'trial' | 'none' {
  switch (circuit.state) {
    case 'closed':
      return 'all';
    case 'open':
      return nowMs >= circuit.untilMs ? 'trial' : 'none';
    case 'half-open':
      return nowMs >= circuit.trialEndsMs ? 'trial' : 'none';
  }
}

/** The part of its share that it gets: a tenth when it has just come back, all after ten seconds. */
export function shareOf(circuit: Circuit, nowMs: number): number {
  if (circuit.state !== 'closed' || circuit.recoveredAtMs === undefined) return 1;
  return Math.min(1, Math.max(0.1, (nowMs - circuit.recoveredAtMs) / SLOW_START_MS));
}

/** When it may be tried again; smaller is sooner. */
export function triedAgainAtMs(circuit: Circuit): number {
  if (circuit.state === 'closed') return 0;
  return circuit.state === 'open' ? circuit.untilMs : circuit.trialEndsMs;
}
