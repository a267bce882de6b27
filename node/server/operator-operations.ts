/** What operators ask of servers as processes: events, gossip keys, leadership, network coordinates. */

import { badRequest, refused } from '../../shared/errors.ts';
import type { Coordinate } from '../../shared/types/v1.ts';
import type { KeyedGossipPool } from '../gossip/gossip-pool.ts';
import type { KeyOperationResult } from '../gossip/key-operations.ts';
import type { GossipPool } from '../gossip/types.ts';
import type { NodeId, RaftNode } from '../raft/types.ts';
import {
  coordinateListDatacenters,
  type DatacenterCoordinates,
  internalEventFire,
  internalKeyringOperation,
  type KeyringAnswer,
  type KeyringArgs,
  operatorTransferLeader,
} from '../rpc/operator-endpoints.ts';
import { serverMember } from '../rpc/server-members.ts';
import type { LiveRead, ServerOperation } from './local-endpoints.ts';

/** A pool as a server uses it; fakes may lack keys. */
export type ServerPool = GossipPool & Partial<Pick<KeyedGossipPool, 'keyOperation'>>;

export interface OperatorOptions {
  readonly datacenter: string;
  readonly raft: RaftNode;
  readonly lan: ServerPool;
  readonly wan: GossipPool | undefined;
}

/** What gossip calls a user event: this, then its name. */
const USER_EVENT_PREFIX = 'consul:event:';
const MAX_RELAY_FACTOR = 5;

export function createOperatorReads(options: OperatorOptions): readonly LiveRead[] {
  return [
    {
      name: coordinateListDatacenters.name,
      needsLeader: false,
      isPerDatacenter: false,
      read: () => datacenterCoordinates(options.wan),
    },
  ];
}

export function createOperatorOperations(options: OperatorOptions): readonly ServerOperation[] {
  const { datacenter, lan, raft } = options;
  return [
    { name: internalEventFire.name, needsLeader: false, run: async (args) => fireEvent(lan, args) },
    {
      name: internalKeyringOperation.name,
      needsLeader: false,
      run: (args) => lanKeyring(lan, datacenter, args),
    },
    { name: operatorTransferLeader.name, needsLeader: true, run: (args) => transferLeader(raft, args) },
  ];
}

/** @throws ConsulError 500 in the words of Consul's list of errors */
function fireEvent(lan: GossipPool, args: unknown): true {
  const { name, payload } = fieldsOf(args);
  if (typeof name !== 'string' || !(payload instanceof Uint8Array)) throw malformed(internalEventFire.name);
  try {
    lan.fireEvent(USER_EVENT_PREFIX + name, payload, false);
    return true;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw refused(`1 error occurred:\n\t* error broadcasting event to segment "": ${text}\n\n`);
  }
}

async function lanKeyring(lan: ServerPool, datacenter: string, args: unknown): Promise<KeyringAnswer> {
  const checked = keyringArgs(args);
  if (lan.keyOperation === undefined) throw refused('gossip keys are not available here');
  const key = Buffer.from(checked.key, 'base64');
  const result = await lan.keyOperation(checked.operation, key, checked.relayFactor);
  return keyringAnswer(result, datacenter, false);
}

/** One pool's answers as operators see them. */
export function keyringAnswer(result: KeyOperationResult, datacenter: string, isWan: boolean): KeyringAnswer {
  return {
    WAN: isWan,
    Datacenter: datacenter,
    Messages: result.messages,
    Keys: result.keys,
    PrimaryKeys: result.primaryKeys,
    NumNodes: result.numNodes,
    Error: result.error ?? '',
  };
}

function keyringArgs(args: unknown): KeyringArgs {
  const { operation, key, relayFactor } = fieldsOf(args);
  const isKnown =
    operation === 'list' || operation === 'install' || operation === 'use' || operation === 'remove';
  const isFactor =
    typeof relayFactor === 'number' &&
    Number.isInteger(relayFactor) &&
    relayFactor >= 0 &&
    relayFactor <= MAX_RELAY_FACTOR;
  if (!isKnown || typeof key !== 'string' || !isFactor) throw malformed(internalKeyringOperation.name);
  return { operation, key, relayFactor };
}

async function transferLeader(raft: RaftNode, args: unknown): Promise<true> {
  const { id } = fieldsOf(args);
  if (typeof id !== 'string') throw malformed(operatorTransferLeader.name);
  if (id !== '' && !raft.status().peers.some((peer) => peer.id === id))
    throw refused(`id "${id}" was not found in the Raft configuration`);
  await raft.transferLeadership(id === '' ? undefined : (id as NodeId));
  return true;
}

function datacenterCoordinates(wan: GossipPool | undefined): DatacenterCoordinates[] {
  const byName = new Map<string, { Node: string; Segment: string; Coord: Coordinate }[]>();
  for (const member of wan?.members() ?? []) {
    const server = serverMember(member);
    const Coord = server === undefined ? undefined : wan?.coordinateOf(member.name);
    if (server === undefined || Coord === undefined) continue;
    const entries = byName.get(server.datacenter) ?? [];
    byName.set(server.datacenter, [...entries, { Node: server.name, Segment: '', Coord }]);
  }
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([Datacenter, Coordinates]) => ({ Datacenter, AreaID: 'wan', Coordinates }));
}

function fieldsOf(args: unknown): Readonly<Record<string, unknown>> {
  return typeof args === 'object' && args !== null ? (args as Record<string, unknown>) : {};
}

function malformed(name: string) {
  return badRequest(`malformed arguments for ${name}`);
}
