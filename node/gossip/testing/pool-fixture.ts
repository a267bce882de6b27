/** Builds pools for tests: short timers, log lines and events kept for inspection. */

import type { Env } from '../../../shared/env.ts';
import { createLogger, type LogRecord } from '../../../shared/log.ts';
import { createGossipPool, type KeyedGossipPool } from '../gossip-pool.ts';
import type { GossipTransport } from '../gossip-transport.ts';
import { LAN_TIMERS } from '../timers.ts';
import type { GossipConfig, GossipEvent, GossipTimers } from '../types.ts';

/** LAN rhythm, several times faster. */
export const SHORT_TIMERS: GossipTimers = {
  ...LAN_TIMERS,
  probeIntervalMs: 100,
  probeTimeoutMs: 50,
  gossipIntervalMs: 20,
  pushPullIntervalMs: 1000,
  tcpTimeoutMs: 1000,
  reconnectIntervalMs: 500,
  leavePropagateDelayMs: 100,
};

export interface TestPool {
  readonly pool: KeyedGossipPool;
  readonly events: GossipEvent[];
  readonly records: LogRecord[];
  /** Statuses by name. */
  statuses(): Record<string, string>;
  /** Members of one event kind so far, in order. */
  named(kind: GossipEvent['kind']): string[];
}

export function testConfig(nodeName: string, overrides: Partial<GossipConfig> = {}): GossipConfig {
  return {
    pool: 'lan',
    nodeName,
    bindAddress: '127.0.0.1',
    bindPort: 0,
    advertiseAddress: overrides.bindAddress ?? '127.0.0.1',
    advertisePort: overrides.bindPort ?? 0,
    tags: { role: 'node', dc: 'dc1', id: `id-of-${nodeName}` },
    timers: SHORT_TIMERS,
    keys: [],
    encryptVerifyIncoming: true,
    encryptVerifyOutgoing: true,
    snapshotPath: undefined,
    rejoinAfterLeave: false,
    keyringPath: undefined,
    mergeCheck: () => undefined,
    ...overrides,
  };
}

export function testPool(config: GossipConfig, env: Env, transport?: GossipTransport): TestPool {
  const records: LogRecord[] = [];
  const events: GossipEvent[] = [];
  const sink = { wants: () => true, write: (record: LogRecord) => void records.push(record) };
  const log = createLogger('agent.server', [sink], () => env.clock.nowMs());
  const pool = createGossipPool(config, transport === undefined ? { env, log } : { env, log, transport });
  pool.subscribe((event) => events.push(event));
  return {
    pool,
    events,
    records,
    statuses: () => Object.fromEntries(pool.members().map((member) => [member.name, member.status])),
    named: (kind) =>
      events.flatMap((event) =>
        event.kind === kind && event.kind !== 'user' ? event.members.map((member) => member.name) : [],
      ),
  };
}
