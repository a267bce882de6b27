/** How well each server follows the leader. Kept by the leader only (reference: autopilot). */

import { NS_PER_MS } from '../../shared/durations.ts';
import type { Env, Timer } from '../../shared/env.ts';
import type { AutopilotSettings, ServerHealth, ServerHealthReport } from '../../shared/types/autopilot.ts';
import type { RaftNode, RaftPeer, RaftStatus } from '../raft/types.ts';
import type { ServerMember } from '../rpc/server-members.ts';

const CHECK_INTERVAL_MS = 2000;

export interface ServerHealthOptions {
  readonly raft: RaftNode;
  readonly ownId: string;
  readonly env: Env;
  readonly settings: () => AutopilotSettings;
  /** Servers of the own datacenter by gossip, in any status. */
  readonly servers: () => readonly ServerMember[];
  /** Between two messages to an idle follower: silence for so long means nothing. */
  readonly heartbeatMs: number;
}

interface Verdict {
  readonly isHealthy: boolean;
  readonly sinceMs: number;
}

/** Invariant: `#verdicts` holds the servers of the last report, with the moment when their verdict last changed. */
export class ServerHealthMonitor {
  readonly #o: ServerHealthOptions;
  #verdicts: ReadonlyMap<string, Verdict> = new Map();
  #timer: Timer | undefined;

  constructor(options: ServerHealthOptions) {
    this.#o = options;
  }

  start(): void {
    this.report();
    this.#timer = this.#o.env.clock.setTimer(CHECK_INTERVAL_MS, () => this.start());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** As of now. */
  report(): ServerHealthReport {
    const status = this.#o.raft.status();
    const members = new Map(this.#o.servers().map((server) => [server.id, server]));
    const servers = status.peers.map((peer) => this.#healthOf(peer, members.get(peer.id), status));
    this.#verdicts = new Map(
      servers.map((server) => [server.ID, { isHealthy: server.Healthy, sinceMs: server.StableSinceMs }]),
    );
    return {
      Healthy: servers.length > 0 && servers.every((server) => server.Healthy),
      FailureTolerance: failureTolerance(servers),
      Servers: servers,
    };
  }

  #healthOf(peer: RaftPeer, member: ServerMember | undefined, status: RaftStatus): ServerHealth {
    const isSelf = peer.id === this.#o.ownId;
    const progress = status.progress.get(peer.id);
    const lastContactMs = isSelf ? 0 : progress?.lastContactMs;
    const lastIndex = isSelf ? status.lastLogIndex : (progress?.matchIndex ?? 0);
    const isHealthy = member?.status === 'alive' && this.#isClose(lastContactMs, lastIndex, status);
    const before = this.#verdicts.get(peer.id);
    const isUnchanged = before !== undefined && before.isHealthy === isHealthy;
    return {
      ID: peer.id,
      Name: member?.name ?? '',
      Address: peer.address,
      SerfStatus: member?.status ?? 'none',
      Version: member?.build ?? '',
      Leader: isSelf,
      LastContactMs: lastContactMs,
      LastTerm: lastIndex === 0 ? 0 : status.lastLogTerm,
      LastIndex: lastIndex,
      Healthy: isHealthy,
      Voter: peer.isVoter,
      StableSinceMs: isUnchanged ? before.sinceMs : this.#o.env.clock.nowMs(),
    };
  }

  /** The leader sees a follower's silence from its own side, where a heartbeat's interval comes on top. */
  #isClose(lastContactMs: number | undefined, lastIndex: number, status: RaftStatus): boolean {
    const { LastContactThreshold, MaxTrailingLogs } = this.#o.settings();
    const silenceMs = Math.max(0, (lastContactMs ?? Number.POSITIVE_INFINITY) - this.#o.heartbeatMs);
    return (
      silenceMs <= LastContactThreshold / NS_PER_MS &&
      lastIndex + Math.max(0, MaxTrailingLogs) >= status.lastLogIndex
    );
  }
}

/** Healthy voters beyond the quorum. */
function failureTolerance(servers: readonly ServerHealth[]): number {
  const voters = servers.filter((server) => server.Voter);
  const healthy = voters.filter((server) => server.Healthy).length;
  return Math.max(0, healthy - (Math.floor(voters.length / 2) + 1));
}
