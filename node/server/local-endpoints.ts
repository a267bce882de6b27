/** Operations that are about this server or its leadership rather than about the replicated state. */

import { ConsulError, refused } from '../../shared/errors.ts';
import type { RaftServer } from '../../shared/types/v1.ts';
import type { NodeId, RaftNode } from '../raft/types.ts';
import {
  catalogListDatacenters,
  operatorRaftConfiguration,
  operatorRaftProgress,
  operatorRaftRemovePeer,
  sessionRenew,
  statusLeader,
  statusPeers,
} from '../rpc/endpoints.ts';
import type { ServerMember } from '../rpc/server-members.ts';

/** A read that is computed on the spot: it never blocks and is not kept. */
export interface LiveRead {
  readonly name: string;
  /** False: answered by whichever server is asked, leader or not. */
  readonly needsLeader: boolean;
  /** False: the datacenter argument makes no difference. */
  readonly isPerDatacenter: boolean;
  read(): unknown;
}

/** A write that does not go through the log as one command. */
export interface ServerOperation {
  readonly name: string;
  /** False: carried out by whichever server is asked, leader or not. */
  readonly needsLeader: boolean;
  /** @throws ConsulError, also by rejection */
  run(args: unknown): Promise<unknown>;
}

export interface LocalEndpointsOptions {
  readonly raft: RaftNode;
  /** Servers of the own datacenter. */
  readonly servers: () => readonly ServerMember[];
  /** Own datacenter first. */
  readonly datacenters: () => readonly string[];
  readonly renewSession: (id: string) => unknown;
}

export function createLiveReads(options: LocalEndpointsOptions): readonly LiveRead[] {
  const { raft } = options;
  return [
    {
      name: statusLeader.name,
      needsLeader: false,
      isPerDatacenter: true,
      read: () => raft.status().leader?.address ?? '',
    },
    {
      name: statusPeers.name,
      needsLeader: false,
      isPerDatacenter: true,
      read: () => raft.status().peers.map((peer) => peer.address),
    },
    {
      name: catalogListDatacenters.name,
      needsLeader: false,
      isPerDatacenter: false,
      read: options.datacenters,
    },
    {
      name: operatorRaftConfiguration.name,
      needsLeader: true,
      isPerDatacenter: true,
      read: () => raftConfiguration(raft, options.servers()),
    },
    {
      name: operatorRaftProgress.name,
      needsLeader: true,
      isPerDatacenter: true,
      read: () => raftProgress(raft, options.servers()),
    },
  ];
}

export function createServerOperations(options: LocalEndpointsOptions): readonly ServerOperation[] {
  return [
    {
      name: sessionRenew.name,
      needsLeader: true,
      run: async (args) => options.renewSession(textArgument(args, 'id')),
    },
    {
      name: operatorRaftRemovePeer.name,
      needsLeader: true,
      run: (args) => removePeer(options.raft, textArgument(args, 'id'), textArgument(args, 'address')),
    },
  ];
}

function raftConfiguration(raft: RaftNode, servers: readonly ServerMember[]) {
  const status = raft.status();
  const byId = new Map(servers.map((server) => [server.id, server]));
  const rows: RaftServer[] = status.peers.map((peer) => {
    const server = byId.get(peer.id);
    return {
      ID: peer.id,
      Node: server?.name ?? '(unknown)',
      Address: peer.address,
      Leader: peer.id === status.leader?.id,
      ProtocolVersion: server?.raftVersion || 'unknown',
      Voter: peer.isVoter,
    };
  });
  return { Servers: rows, Index: status.configurationIndex };
}

/** Only the leader knows how far the others are. */
function raftProgress(raft: RaftNode, servers: readonly ServerMember[]) {
  const { lastLogIndex, progress, role } = raft.status();
  const { Index, Servers } = raftConfiguration(raft, servers);
  return {
    Servers: Servers.map((row) => {
      const LastIndex =
        row.Leader && role === 'leader' ? lastLogIndex : progress.get(row.ID as NodeId)?.matchIndex;
      return LastIndex === undefined ? row : { ...row, LastIndex };
    }),
    Index,
  };
}

async function removePeer(raft: RaftNode, id: string, address: string): Promise<true> {
  const peer = raft.status().peers.find((known) => (id === '' ? known.address === address : known.id === id));
  if (peer === undefined) {
    const named = id === '' ? `address "${address}"` : `id "${id}"`;
    throw refused(`${named} was not found in the Raft configuration`);
  }
  await raft.changeMembership({ kind: 'remove', id: peer.id });
  return true;
}

function textArgument(args: unknown, field: string): string {
  const value: unknown =
    typeof args === 'object' && args !== null ? Object.getOwnPropertyDescriptor(args, field)?.value : '';
  if (typeof value !== 'string') throw new ConsulError('bad-request', 400, `${field} must be text`);
  return value;
}
