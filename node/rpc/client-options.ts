/** What the composition root gives a client agent's backend. */

import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { Metrics } from '../../shared/metrics.ts';
import type { Backend } from './backend.ts';
import type { RpcNetwork } from './network.ts';
import type { RateLimit } from './rate-limiter.ts';
import type { MemberView } from './server-members.ts';

export interface ClientBackendOptions {
  readonly datacenter: string;
  /** The LAN pool; a `GossipPool` fits. */
  readonly lan: MemberView;
  readonly env: Env;
  /** `agent.client`. */
  readonly log: Logger;
  /** Where requests to servers are counted. */
  readonly metrics?: Metrics;
  /** How long a request waits for a server or a leader; default 7000. */
  readonly rpcHoldTimeoutMs?: number;
  /** How many requests the servers are sent; default: no limit. */
  readonly rateLimit?: RateLimit;
  /** TCP unless given. */
  readonly network?: RpcNetwork | undefined;
}

export interface ClientBackend extends Backend {
  /** Begins to follow the pool. Connections are opened when first needed. */
  start(): void;
  /** Closes connections; what is under way fails. Idempotent. */
  stop(): void;
  /** Holds from the next request on. */
  setRateLimit(limit: RateLimit): void;
  /** Servers known now: `known_servers` of `info`. */
  knownServers(): number;
  /** `host:port` of the RPC listeners of the live servers, the one in use first. */
  serverAddresses(): readonly string[];
}
