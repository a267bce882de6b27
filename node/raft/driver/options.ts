/** What `createRaftNode` takes, with the defaults and their reasons. */

import type { Env } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import { type CoreLimits, type CoreTiming, checkTiming, type PlantedBug } from '../core/options.ts';
import type { NodeId, PeerNetwork, StateMachine } from '../types.ts';
import type { Disk } from '../wal/disk.ts';

export type RaftTiming = CoreTiming;

/** Below this, pauses that every process has now and then would end leaderships, whatever the network is like. */
const LEAST_VOTE_HOLD_MS = 250;

/**
 * The timing for Consul's `performance.raft_multiplier` (1–10, default 5).
 *
 * Votes are held back for 100 ms × multiplier, at least 250 ms, after a leader was heard; all else follows from that:
 * a heartbeat five times as often, a lease of four fifths of it (so clocks may differ in rate by a quarter), and an
 * election after one and a half to three times of it in silence. At 5: heartbeat 100 ms, lease 400 ms, and a leader
 * whose process died, which its closed connections show, is replaced after 500–625 ms and a round trip or two; one
 * that hangs or is cut off after 750 ms to 1.5 s. Consul waits for 5 to 10 s there, because it has no pre-votes: a
 * server that stalls and comes back disturbs nobody here. Raise the multiplier when pauses of the process or of the
 * network come near the election time.
 *
 * @param multiplier 1–10
 */
export function raftTiming(multiplier: number): RaftTiming {
  const holdMs = Math.max(LEAST_VOTE_HOLD_MS, 100 * multiplier);
  return {
    heartbeatMs: holdMs / 5,
    electionMs: 1.5 * holdMs,
    voteHoldMs: holdMs,
    leaseMs: 0.8 * holdMs,
    commitNoticeMs: COMMIT_NOTICE_MS,
  };
}

/** Longer than the round of a loaded leader, shorter than what a reader elsewhere would notice. */
const COMMIT_NOTICE_MS = 5;

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
  readonly replication?: ReplicationObserver | undefined;
  /** For the simulator only. */
  readonly plantedBug?: PlantedBug | undefined;
}

/** Hears of a leader's replication to its peers, for telemetry. */
export interface ReplicationObserver {
  /** @param entries in one message, ≥ 1 */
  sent(peer: NodeId, entries: number): void;
  /** @param elapsedMs ≥ 0, since what is answered was made */
  answered(answer: 'append' | 'heartbeat', peer: NodeId, elapsedMs: number): void;
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
/** Of log in memory, after which a snapshot is taken. */
export const USUAL_THRESHOLD_BYTES = 64 * MIB;
/** To one peer. Its stream keeps as much back when it is slow (see peer-link.ts). */
const MAX_INFLIGHT_BYTES = 8 * MIB;
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
    snapshotThresholdBytes: options.snapshotThresholdBytes ?? USUAL_THRESHOLD_BYTES,
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

/** A leader's bounds: what it sends ahead of a peer's answers, and what it takes on before any of it is committed. */
export function coreLimits(options: ResolvedOptions): CoreLimits {
  const { maxBytesPerAppend, maxEntriesPerAppend } = options;
  return {
    maxEntriesPerAppend,
    maxBytesPerAppend,
    maxInflightAppends: 32,
    maxInflightBytes: MAX_INFLIGHT_BYTES,
    maxUncommittedBytes: 64 * MIB,
  };
}

function requireAtLeast(name: string, value: number, least: number): void {
  if (!(value >= least)) throw new Error(`raft: ${name} must be at least ${least}, is ${value}`);
}
