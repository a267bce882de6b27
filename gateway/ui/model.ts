/** Answers of the API as the pages use them. What is missing or of another type becomes empty: a page never breaks on it. */

import { byName, countStatuses, type HealthCounts } from './format.ts';

export interface ServiceRow {
  readonly name: string;
  readonly kind: string;
  readonly tags: readonly string[];
  readonly instances: number;
  readonly nodes: number;
  readonly health: HealthCounts;
}

export interface Check {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly type: string;
  readonly notes: string;
  readonly output: string;
  /** '' for a check of the node itself. */
  readonly serviceId: string;
}

export interface Instance {
  readonly id: string;
  readonly service: string;
  readonly kind: string;
  readonly node: string;
  /** Its own address, else that of its node. */
  readonly address: string;
  /** 0: none. */
  readonly port: number;
  readonly tags: readonly string[];
  readonly meta: readonly (readonly [name: string, value: string])[];
  readonly checks: readonly Check[];
}

export interface NodeEntry {
  readonly name: string;
  readonly id: string;
  readonly address: string;
  readonly taggedAddresses: readonly (readonly [name: string, value: string])[];
  readonly meta: readonly (readonly [name: string, value: string])[];
  readonly instances: readonly Instance[];
  /** Of the node and of everything on it. */
  readonly checks: readonly Check[];
}

export interface Member {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly status: string;
  readonly isServer: boolean;
  readonly build: string;
  readonly protocol: string;
  readonly datacenter: string;
}

export interface RaftPeer {
  readonly id: string;
  readonly node: string;
  readonly address: string;
  readonly isLeader: boolean;
  readonly isVoter: boolean;
  readonly protocol: string;
}

export interface KvEntry {
  readonly key: string;
  /** base64. */
  readonly value: string;
  readonly modifyIndex: number;
  readonly createIndex: number;
  readonly lockIndex: number;
  /** '' when it is not locked. */
  readonly session: string;
}

export function readServices(json: unknown): ServiceRow[] {
  return records(json)
    .map((row) => ({
      name: text(row.Name),
      kind: text(row.Kind),
      tags: texts(row.Tags),
      instances: number(row.InstanceCount),
      nodes: new Set(texts(row.Nodes)).size,
      health: {
        passing: number(row.ChecksPassing),
        warning: number(row.ChecksWarning),
        critical: number(row.ChecksCritical),
      },
    }))
    .sort((a, b) => byName(a.name, b.name));
}

/** The answer of `/v1/health/service/:name`. */
export function readInstances(json: unknown): Instance[] {
  return records(json)
    .map((row) => {
      const node = record(row.Node);
      return readInstance(record(row.Service), text(node.Node), text(node.Address), readChecks(row.Checks));
    })
    .sort((a, b) => byName(a.node, b.node) || byName(a.id, b.id));
}

/** The answer of `/v1/internal/ui/nodes`. */
export function readNodes(json: unknown): NodeEntry[] {
  return records(json)
    .map(readNode)
    .sort((a, b) => byName(a.name, b.name));
}

/** The answer of `/v1/internal/ui/node/:node`. */
export function readNode(json: unknown): NodeEntry {
  const row = record(json);
  const name = text(row.Node);
  const address = text(row.Address);
  const checks = readChecks(row.Checks);
  const instances = records(row.Services).map((service) =>
    readInstance(
      service,
      name,
      address,
      checks.filter((check) => check.serviceId === text(service.ID)),
    ),
  );
  return {
    name,
    id: text(row.ID),
    address,
    taggedAddresses: pairs(row.TaggedAddresses),
    meta: pairs(row.Meta),
    instances: instances.sort((a, b) => byName(a.service, b.service) || byName(a.id, b.id)),
    checks,
  };
}

export function healthOf(checks: readonly Check[]): HealthCounts {
  return countStatuses(checks.map(({ status }) => status));
}

/** Whether the Raft leader at this RPC address (`10.0.0.1:8300`) is a server on this node. */
export function isLeaderNode(node: NodeEntry, leader: string): boolean {
  if (leader === '') return false;
  return node.instances.some(
    ({ service, address, port }) =>
      service === 'consul' && (leader === `${address}:${port}` || leader === `[${address}]:${port}`),
  );
}

const MEMBER_STATUS: Readonly<Record<number, string>> = { 1: 'alive', 2: 'leaving', 3: 'left', 4: 'failed' };

export function readMembers(json: unknown): Member[] {
  return records(json)
    .map((row) => {
      const tags = record(row.Tags);
      return {
        name: text(row.Name),
        address: text(row.Addr),
        port: number(row.Port),
        status: MEMBER_STATUS[number(row.Status)] ?? 'none',
        isServer: text(tags.role) === 'consul',
        build: text(tags.build).split(':')[0] ?? '',
        protocol: text(tags.vsn),
        datacenter: text(tags.dc),
      };
    })
    .sort((a, b) => Number(b.isServer) - Number(a.isServer) || byName(a.name, b.name));
}

/** The answer of `/v1/operator/raft/configuration`. */
export function readPeers(json: unknown): RaftPeer[] {
  return records(record(json).Servers)
    .map((row) => ({
      id: text(row.ID),
      node: text(row.Node),
      address: text(row.Address),
      isLeader: row.Leader === true,
      isVoter: row.Voter === true,
      protocol: text(row.ProtocolVersion),
    }))
    .sort((a, b) => byName(a.node, b.node));
}

/** What `/v1/agent/self` says that a person asks for first, as names and values; empty values are left out. */
export function readSelf(json: unknown): (readonly [name: string, value: string])[] {
  const self = record(json);
  const config = record(self.Config);
  const stats = record(self.Stats);
  const raft = record(stats.raft);
  const consul = record(stats.consul);
  const facts: (readonly [string, string])[] = [
    ['Node', text(config.NodeName)],
    ['Node ID', text(config.NodeID)],
    ['Datacenter', text(config.Datacenter)],
    ['Mode', config.Server === true ? 'server' : config.Server === false ? 'client' : ''],
    ['API level', text(config.Version)],
    ['Leader address', text(consul.leader_addr)],
    ['Known servers', text(consul.known_servers)],
    ['Raft state', text(raft.state)],
    ['Raft term', text(raft.term)],
    ['Raft commit index', text(raft.commit_index)],
    ['Raft applied index', text(raft.applied_index)],
  ];
  return facts.filter(([, value]) => value !== '');
}

/** undefined when the answer holds no entry. */
export function readKvEntry(json: unknown): KvEntry | undefined {
  const row = records(json)[0];
  if (row === undefined) return undefined;
  return {
    key: text(row.Key),
    value: text(row.Value),
    modifyIndex: number(row.ModifyIndex),
    createIndex: number(row.CreateIndex),
    lockIndex: number(row.LockIndex),
    session: text(row.Session),
  };
}

export function texts(json: unknown): string[] {
  return Array.isArray(json) ? json.filter((item) => typeof item === 'string') : [];
}

function readInstance(
  service: Fields,
  node: string,
  nodeAddress: string,
  checks: readonly Check[],
): Instance {
  return {
    id: text(service.ID),
    service: text(service.Service),
    kind: text(service.Kind),
    node,
    address: text(service.Address) || nodeAddress,
    port: number(service.Port),
    tags: texts(service.Tags),
    meta: pairs(service.Meta),
    checks,
  };
}

function readChecks(json: unknown): Check[] {
  return records(json)
    .map((row) => ({
      id: text(row.CheckID),
      name: text(row.Name) || text(row.CheckID),
      status: text(row.Status),
      type: text(row.Type),
      notes: text(row.Notes),
      output: text(row.Output),
      serviceId: text(row.ServiceID),
    }))
    .sort((a, b) => byName(a.name, b.name));
}

type Fields = Readonly<Record<string, unknown>>;

function record(json: unknown): Fields {
  const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
  return isObject ? (json as Fields) : {};
}

function records(json: unknown): Fields[] {
  return Array.isArray(json) ? json.map(record) : [];
}

/** Numbers become text: some versions send the one, some the other. */
function text(json: unknown): string {
  if (typeof json === 'number') return String(json);
  return typeof json === 'string' ? json : '';
}

function number(json: unknown): number {
  return typeof json === 'number' ? json : 0;
}

function pairs(json: unknown): (readonly [name: string, value: string])[] {
  return Object.entries(record(json))
    .map(([name, value]) => [name, text(value)] as const)
    .sort(([a], [b]) => byName(a, b));
}
