/** What `createRaftNode` takes, with the defaults and their reasons. */

import type { Env } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import { type CoreTiming, checkTiming, type PlantedBug } from '../core/options.ts';
import type { NodeId, PeerNetwork, StateMachine } from '../types.ts';
import type { Disk } from '../wal/disk.ts';

export type RaftTiming = CoreTiming;

/**
 * The timing for Consul's `performance.raft_multiplier` (1–10, default 5).
 *
 * At 1: a heartbeat every 50 ms, elections after 250–500 ms of silence, a lease of 200 ms. At 5: 250 ms, 1.25–2.5 s
 * and 1 s. These are a quarter of Consul's, which without pre-votes needs the slack: here a server that stalls and
 * comes back disturbs nobody. A leader whose process died is replaced sooner than one that fell silent, because its
 * closed connections cut the random part to a quarter: 250–315 ms at 1, 1.25–1.6 s at 5, plus a round trip or two.
 * Raise the multiplier when pauses of the process or of the network come near the election time.
 */
export function raftTiming(multiplier: number): RaftTiming {
  return { heartbeatMs: 50 * multiplier, electionMs: 250 * multiplier, leaseMs: 200 * multiplier };
}

export interface RaftNodeOptions {
  readonly id: NodeId;
  /** `host:port` of this server's RPC listener. */
  readonly address: string;
  /** Holds log, snapshots and `peers.info`; created when missing. Undefined keeps all in memory (`-dev`). */
  readonly directory: string | undefined;
  /** The real disk unless given. */
  readonly disk?: Disk | undefined;
  readonly stateMachine: StateMachine;
  readonly network: PeerNetwork;
  readonly env: Env;
  /** Named `agent.server.raft`. */
  readonly log: Logger;
  readonly timing: RaftTiming;
  /** New entries after which a snapshot is taken, looked at every `snapshotIntervalMs`. Default 16384. */
  readonly snapshotThreshold?: number | undefined;
  /** Entries kept behind a snapshot, so that a server that was away briefly need not get all. Default 10240. */
  readonly trailingLogs?: number | undefined;
  /** Default 30 s, plus up to as much again at random. */
  readonly snapshotIntervalMs?: number | undefined;
  /** Most entries in one message to a peer. Default 512. */
  readonly maxEntriesPerAppend?: number | undefined;
  /** Most bytes in one message to a peer, passed by at most one entry. Default 1 MiB. */
  readonly maxBytesPerAppend?: number | undefined;
  /** Largest command. Default 16 MiB. At most 32 MiB, so that it fits a message. */
  readonly maxCommandBytes?: number | undefined;
  /** Bytes of log held in memory before a snapshot is taken regardless of the interval. Default 64 MiB. */
  readonly snapshotThresholdBytes?: number | undefined;
  /** Size after which a log file is followed by a new one. Default 16 MiB. */
  readonly segmentBytes?: number | undefined;
  /** Calls back when all that arrived in this turn of the event loop was seen. Default `setImmediate`. */
  readonly endOfTurn?: ((run: () => void) => void) | undefined;
  /** For the simulator only. */
  readonly plantedBug?: PlantedBug | undefined;
}

/** The options with every default filled in. */
export interface ResolvedOptions extends RaftNodeOptions {
  readonly snapshotThreshold: number;
  readonly trailingLogs: number;
  readonly snapshotIntervalMs: number;
  readonly maxEntriesPerAppend: number;
  readonly maxBytesPerAppend: number;
  readonly maxCommandBytes: number;
  readonly snapshotThresholdBytes: number;
  readonly endOfTurn: (run: () => void) => void;
}

const MIB = 1024 * 1024;
const LARGEST_COMMAND_BYTES = 32 * MIB;

/** @throws Error that names the option that is out of range */
export function resolveOptions(options: RaftNodeOptions): ResolvedOptions {
  checkTiming(options.timing);
  const resolved = {
    ...options,
    snapshotThreshold: options.snapshotThreshold ?? 16_384,
    trailingLogs: options.trailingLogs ?? 10_240,
    snapshotIntervalMs: options.snapshotIntervalMs ?? 30_000,
    maxEntriesPerAppend: options.maxEntriesPerAppend ?? 512,
    maxBytesPerAppend: options.maxBytesPerAppend ?? MIB,
    maxCommandBytes: options.maxCommandBytes ?? 16 * MIB,
    snapshotThresholdBytes: options.snapshotThresholdBytes ?? 64 * MIB,
    endOfTurn: options.endOfTurn ?? ((run: () => void) => void setImmediate(run)),
  };
  requireAtLeast('snapshotThreshold', resolved.snapshotThreshold, 1);
  requireAtLeast('trailingLogs', resolved.trailingLogs, 0);
  requireAtLeast('snapshotIntervalMs', resolved.snapshotIntervalMs, 1);
  requireAtLeast('maxEntriesPerAppend', resolved.maxEntriesPerAppend, 1);
  requireAtLeast('maxBytesPerAppend', resolved.maxBytesPerAppend, 1);
  requireAtLeast('maxCommandBytes', resolved.maxCommandBytes, 1);
  if (resolved.maxCommandBytes > LARGEST_COMMAND_BYTES)
    throw new Error(`raft: maxCommandBytes must be at most ${LARGEST_COMMAND_BYTES}`);
  return resolved;
}

function requireAtLeast(name: string, value: number, least: number): void {
  if (!(value >= least)) throw new Error(`raft: ${name} must be at least ${least}, is ${value}`);
}
