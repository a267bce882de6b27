/** Which members are gone for good, and which failed one to try again. */

import { parseDurationMs } from '../../../shared/durations.ts';
import { type Random, randomInt } from '../../../shared/env.ts';
import type { GossipTimers } from '../types.ts';
import type { SerfMember } from './member-table.ts';

/** A member may announce for itself how long it should be remembered when it fails. */
const RECONNECT_TIMEOUT_TAG = 'rc_tm';

/** Failed for longer than the reconnect timeout, or left longer ago than the tombstone timeout. */
export function isExpired(member: SerfMember, timers: GossipTimers, nowMs: number): boolean {
  const goneMs = nowMs - member.goneAtMs;
  if (member.status === 'left') return goneMs > timers.tombstoneTimeoutMs;
  if (member.status !== 'failed') return false;
  return goneMs > (ownReconnectTimeoutMs(member) ?? timers.reconnectTimeoutMs);
}

/** A random failed member, more likely the more of the pool has failed; undefined when it is not time to try. */
export function reconnectCandidate(
  failed: readonly SerfMember[],
  alive: number,
  random: Random,
): SerfMember | undefined {
  if (failed.length === 0) return undefined;
  const probability = alive === 0 ? 1 : failed.length / alive;
  if (random.next() > probability) return undefined;
  return failed[randomInt(random, failed.length)];
}

function ownReconnectTimeoutMs(member: SerfMember): number | undefined {
  const text = member.tags[RECONNECT_TIMEOUT_TAG];
  if (text === undefined || text === '') return undefined;
  try {
    return parseDurationMs(text);
  } catch {
    // A tag that is no duration is not ours to complain about: the pool's own timeout applies.
    return undefined;
  }
}
