/** Sections `consul` and `raft` of `info`, in Consul's keys and spelling. */

import { formatDurationMs } from '../../shared/durations.ts';
import type { RaftPeer, RaftStatus } from '../raft/types.ts';
import type { StatsSection } from './options.ts';

export interface ConsulFacts {
  readonly bootstrap: boolean;
  readonly datacenters: number;
  readonly isLeader: boolean;
  readonly leaderAddress: string;
}

export function consulSection(facts: ConsulFacts): StatsSection {
  return {
    acl: 'disabled',
    bootstrap: String(facts.bootstrap),
    known_datacenters: String(facts.datacenters),
    leader: String(facts.isLeader),
    leader_addr: facts.leaderAddress,
    server: 'true',
  };
}

const STATES = { leader: 'Leader', follower: 'Follower', candidate: 'Candidate' } as const;

/** @param ownId this server's Raft ID: `num_peers` does not count it */
export function raftSection(status: RaftStatus, ownId: string): StatsSection {
  return {
    applied_index: String(status.appliedIndex),
    commit_index: String(status.commitIndex),
    fsm_pending: String(status.fsmPending),
    last_contact: lastContact(status),
    last_log_index: String(status.lastLogIndex),
    last_log_term: String(status.lastLogTerm),
    last_snapshot_index: String(status.lastSnapshotIndex),
    last_snapshot_term: String(status.lastSnapshotTerm),
    latest_configuration: `[${status.peers.map(describePeer).join(' ')}]`,
    latest_configuration_index: String(status.configurationIndex),
    num_peers: String(status.peers.filter((peer) => peer.id !== ownId).length),
    protocol_version: '3',
    protocol_version_max: '3',
    protocol_version_min: '0',
    snapshot_version_max: '1',
    snapshot_version_min: '0',
    state: STATES[status.role],
    term: String(status.term),
  };
}

function lastContact(status: RaftStatus): string {
  if (status.role === 'leader') return '0';
  return status.lastContactMs === undefined ? 'never' : formatDurationMs(status.lastContactMs);
}

function describePeer(peer: RaftPeer): string {
  return `{Suffrage:${peer.isVoter ? 'Voter' : 'Nonvoter'} ID:${peer.id} Address:${peer.address}}`;
}
