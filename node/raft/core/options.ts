/** What the core is configured with: times, bounds and its source of jitter. */

import type { NodeId } from '../types.ts';
import type { InflightLimits } from './progress.ts';

/** All in milliseconds of the local monotonic clock. */
export interface CoreTiming {
  /** Between two heartbeats of a leader. Shorter notices trouble sooner and costs messages. */
  readonly heartbeatMs: number;
  /**
   * How long a follower hears nothing before it may ask for votes; it does so after a random time between once and
   * twice this. Also how long a leader goes on without answers from a quorum. Must be several heartbeats, or load
   * alone causes elections.
   */
  readonly electionMs: number;
  /**
   * How long a server refuses its vote after it heard a leader, and the soonest that it asks for votes when it knows
   * that the leader's stream was closed: a process that died. Default `electionMs`, which is the most it may be.
   */
  readonly voteHoldMs?: number | undefined;
  /**
   * How long after a quorum was last heard a leader may take it that no other leader exists. Followers keep their
   * votes back for `voteHoldMs` by their clocks, so this is safe as long as no clock runs faster than the leader's
   * by more than the factor `voteHoldMs / leaseMs`. At most `voteHoldMs × (1 − MIN_CLOCK_ERROR)`.
   */
  readonly leaseMs: number;
  /**
   * How long the news that an entry is committed waits for an append that takes it along to the followers. Shorter
   * shows followers' readers a change sooner; 0, the default, costs two messages more for each batch under load.
   */
  readonly commitNoticeMs?: number | undefined;
}

/** The least relative error between two servers' clock rates that a lease must tolerate. */
export const MIN_CLOCK_ERROR = 0.1;

export interface CoreLimits extends InflightLimits {
  readonly maxEntriesPerAppend: number;
  /** Passed by at most one entry. */
  readonly maxBytesPerAppend: number;
  /** Bytes a leader holds that are not yet committed; proposals beyond are refused. */
  readonly maxUncommittedBytes: number;
}

/** Deliberate faults, which exist so that the simulator can show that it would notice them. Never set in a product. */
export type PlantedBug = 'vote-not-persisted' | 'commit-of-old-term' | 'acknowledge-before-sync';

export interface CoreOptions {
  readonly id: NodeId;
  readonly timing: CoreTiming;
  readonly limits: CoreLimits;
  /** 0 ≤ x < 1; the only randomness of the core. */
  readonly random: () => number;
  readonly plantedBug?: PlantedBug | undefined;
}

/** @throws Error that names what is wrong */
export function checkTiming(timing: CoreTiming): void {
  const { heartbeatMs, electionMs, leaseMs } = timing;
  const holdMs = voteHoldMs(timing);
  if (!(heartbeatMs > 0)) throw new Error(`raft: heartbeatMs must be positive, is ${heartbeatMs}`);
  if (!(electionMs >= 2 * heartbeatMs))
    throw new Error(`raft: electionMs must be at least twice heartbeatMs, is ${electionMs}`);
  if (!(holdMs >= 2 * heartbeatMs && holdMs <= electionMs))
    throw new Error(`raft: voteHoldMs must be between ${2 * heartbeatMs} and ${electionMs}, is ${holdMs}`);
  if (!(leaseMs >= 0 && leaseMs <= holdMs * (1 - MIN_CLOCK_ERROR)))
    throw new Error(`raft: leaseMs must be between 0 and ${holdMs * (1 - MIN_CLOCK_ERROR)}, is ${leaseMs}`);
}

export function voteHoldMs(timing: CoreTiming): number {
  return timing.voteHoldMs ?? timing.electionMs;
}
