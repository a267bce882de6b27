/** The timer profiles of Consul's pools, milliseconds. */

import type { GossipTimers } from './types.ts';

const HOUR_MS = 3_600_000;

export const LAN_TIMERS: GossipTimers = {
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  suspicionMult: 4,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  retransmitMult: 4,
  pushPullIntervalMs: 30_000,
  gossipToTheDeadMs: 30_000,
  tcpTimeoutMs: 10_000,
  reconnectIntervalMs: 30_000,
  reconnectTimeoutMs: 72 * HOUR_MS,
  tombstoneTimeoutMs: 24 * HOUR_MS,
  leavePropagateDelayMs: 3000,
};

export const WAN_TIMERS: GossipTimers = {
  ...LAN_TIMERS,
  probeIntervalMs: 5000,
  probeTimeoutMs: 3000,
  suspicionMult: 6,
  gossipIntervalMs: 500,
  pushPullIntervalMs: 60_000,
  gossipToTheDeadMs: 60_000,
  tcpTimeoutMs: 30_000,
};

/** What `-dev` makes of a pool: everything fast, as there is nobody else to wait for. */
export function DEV_TIMERS(pool: 'lan' | 'wan'): GossipTimers {
  return {
    ...(pool === 'lan' ? LAN_TIMERS : WAN_TIMERS),
    probeIntervalMs: 100,
    probeTimeoutMs: 100,
    gossipIntervalMs: 100,
    suspicionMult: 3,
  };
}
