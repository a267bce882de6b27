/** What the composition root gives a server and what it gets back. */

import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { Metrics } from '../../shared/metrics.ts';
import type { AutopilotSettings } from '../../shared/types/autopilot.ts';
import type { GossipPool } from '../gossip/types.ts';
import { type RaftNodeOptions, raftTiming } from '../raft/raft-node.ts';
import type { RaftNode } from '../raft/types.ts';
import type { Backend } from '../rpc/backend.ts';
import type { RpcNetwork } from '../rpc/network.ts';
import type { SnapshotAccess } from '../rpc/snapshots.ts';
import type { ServerPool } from './operator-operations.ts';

/** Unset ones take Raft's defaults (see raft/driver/options). */
export interface RaftSettings {
  /** performance.raft_multiplier, 1–10; default 5. */
  readonly multiplier?: number;
  /** Replaces what the multiplier gives. */
  readonly timing?: { readonly heartbeatMs: number; readonly electionMs: number; readonly leaseMs: number };
  readonly snapshotIntervalMs?: number;
  readonly snapshotThreshold?: number;
  readonly trailingLogs?: number;
}

const DEFAULT_RAFT_MULTIPLIER = 5;

/** What Raft's timings amount to, milliseconds. */
export function raftTimingOf({ raft }: Pick<ServerOptions, 'raft'>): NonNullable<RaftSettings['timing']> {
  return raft?.timing ?? raftTiming(raft?.multiplier ?? DEFAULT_RAFT_MULTIPLIER);
}

/** What stands between a server and the machine. A simulator puts its own network and disk there. */
export interface ServerPlatform {
  readonly network: RpcNetwork;
  readonly createRaft: (options: RaftNodeOptions) => RaftNode;
}

export interface ServerOptions {
  readonly nodeName: string;
  /** Node UUID; also the server's identity in Raft. */
  readonly nodeId: string;
  /** Lower case. */
  readonly datacenter: string;
  /** IP that the RPC listener binds. */
  readonly bindAddress: string;
  /** 0 lets the system choose; peers then need `Server.rpcAddress()`. */
  readonly rpcPort: number;
  /** IP that other servers dial. */
  readonly advertiseAddress: string;
  /** Raft lives in `<dataDir>/raft`; undefined keeps everything in memory. */
  readonly dataDir: string | undefined;
  readonly bootstrap: boolean;
  /** A lone development server: bootstraps itself, although `info` says `bootstrap = false`. */
  readonly isDev?: boolean;
  /** 0 or 1 and more; 1 means the same as `bootstrap`. */
  readonly bootstrapExpect: number;
  readonly raft?: RaftSettings;
  /** Created by the agent, started and joined by the agent; the server only listens and fires events. */
  readonly lan: ServerPool;
  readonly wan: GossipPool | undefined;
  readonly env: Env;
  /** `agent.server`. */
  readonly log: Logger;
  /** How long a request waits for a leader; default 7000. */
  readonly rpcHoldTimeoutMs?: number;
  /** Default 10 000. */
  readonly sessionTtlMinMs?: number;
  /** Full reconciliation of members with the catalog; default 60 000. */
  readonly reconcileIntervalMs?: number;
  /** How long a failed agent keeps its floating services; default 0. */
  readonly floatingMoveAfterMs?: number;
  /** Where this server counts what it does. */
  readonly metrics?: Metrics;
  /** Stored by the first leader; from then on the stored ones count. Default: Consul's. */
  readonly autopilot?: AutopilotSettings;
  /** Wait after a graceful leave, so that requests under way can finish; default 5000. */
  readonly leaveDrainMs?: number;
  /** Called once when Raft's storage or an invariant failed; the process must stop. */
  readonly onFatal?: (error: Error) => void;
  /** TCP and the real disk unless given. */
  readonly platform?: ServerPlatform;
}

/** One section of `info`: keys in Consul's spelling. */
export type StatsSection = Readonly<Record<string, string>>;

export interface ServerStats {
  readonly consul: StatsSection;
  readonly raft: StatsSection;
}

export interface Server extends Backend, SnapshotAccess {
  /** Binds the RPC port, opens Raft, starts the duties. Rejects with the system's error when the port is taken. */
  start(): Promise<void>;
  /** Ends everything without telling anyone; the pools stay open. Idempotent. */
  stop(): Promise<void>;
  /**
   * Graceful leave: gives up leadership and Raft membership where that is safe, leaves both pools, drains, and waits
   * (bounded) until the leader has removed this server. `stop` and the pools' `shutdown` are still up to the caller.
   */
  leave(): Promise<void>;
  /** `advertise:port` of the bound RPC listener; valid after `start`. */
  rpcAddress(): string;
  isLeader(): boolean;
  /** Sections `consul` and `raft` of `info`. */
  stats(): ServerStats;
  /** For operator endpoints and snapshots; valid after `start`. */
  readonly raft: RaftNode;
}
