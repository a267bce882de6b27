/** How often an agent talks to the servers, so that their load stays level while the cluster grows. */

import type { Random } from '../../../shared/env.ts';

export const FULL_SYNC_INTERVAL_MS = 60_000;
export const RETRY_MIN_MS = 15_000;
const SERVER_JOINED_STAGGER_MAX_MS = 3_000;
/** What one more agent adds to the stagger after a server joined: a small cluster need not wait. */
const SERVER_JOINED_STAGGER_PER_AGENT_MS = 25;
export const COORDINATE_INTERVAL_MIN_MS = 15_000;
/** Coordinate updates per second that all agents together aim at. */
const COORDINATE_RATE_PER_S = 64;
/** Up to as many agents the base interval is kept. */
const SCALE_THRESHOLD = 128;

/** 1 up to 128 agents, then one more for each doubling. */
export function scaleFactor(clusterSize: number): number {
  if (clusterSize <= SCALE_THRESHOLD) return 1;
  return Math.ceil(Math.log2(clusterSize) - Math.log2(SCALE_THRESHOLD)) + 1;
}

/** Time to the next regular full sync: the scaled interval plus as much again at random. */
export function fullSyncDelayMs(intervalMs: number, clusterSize: number, random: Random): number {
  const scaled = intervalMs * scaleFactor(clusterSize);
  return scaled + random.next() * scaled;
}

export function retryDelayMs(random: Random): number {
  return RETRY_MIN_MS + random.next() * RETRY_MIN_MS;
}

/** Time to the full sync after a server joined: random, at most 3 s. */
export function serverJoinedDelayMs(clusterSize: number, random: Random): number {
  return (
    random.next() * Math.min(SERVER_JOINED_STAGGER_MAX_MS, clusterSize * SERVER_JOINED_STAGGER_PER_AGENT_MS)
  );
}

/** How long an output-only change waits: half to one and a half of `check_update_interval`. */
export function outputDelayMs(checkUpdateIntervalMs: number, random: Random): number {
  return checkUpdateIntervalMs / 2 + random.next() * checkUpdateIntervalMs;
}

/** Time to the next coordinate update: what keeps the rate for this many agents, plus as much again at random. */
export function coordinateDelayMs(minMs: number, clusterSize: number, random: Random): number {
  const scaled = Math.max(minMs, (clusterSize / COORDINATE_RATE_PER_S) * 1000);
  return scaled + random.next() * scaled;
}
