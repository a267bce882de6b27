/** The names under which a server counts what it does (reference: telemetry). */

import type { Counter, Gauge, Metrics, Sample } from '../../shared/metrics.ts';
import type { ServerHealthReport } from '../../shared/types/autopilot.ts';
import type { GossipMember } from '../gossip/types.ts';
import type { ReplicationObserver } from '../raft/driver/options.ts';
import type { NodeId, RaftStatus } from '../raft/types.ts';
import {
  catalogDeregister,
  catalogRegister,
  kvApply,
  sessionCreate,
  sessionDestroy,
} from '../rpc/endpoints.ts';
import { preparedQueryApply } from '../rpc/query-endpoints.ts';
import { txnApply } from '../rpc/txn-endpoints.ts';
import type { Tables } from '../state/tables.ts';

/** Handles are looked up once: nothing here allocates per request. */
export interface ServerMetrics {
  readonly raftApply: Counter;
  readonly commitTime: Sample;
  readonly fsmApply: Sample;
  readonly rpcRequest: Counter;
  readonly rpcRequestError: Counter;
  readonly rpcQuery: Counter;
  readonly consistentRead: Sample;
  readonly barrier: Counter;
  /** Transitions into a role. */
  readonly roles: Readonly<Record<'leader' | 'candidate' | 'follower', Counter>>;
  /** Time of a command in the state machine, by its type; undefined when it is not measured. */
  command(type: string): Sample | undefined;
  /** Time of a write on the leader, by endpoint. */
  write(endpoint: string): Sample | undefined;
}

const COMMAND_NAMES: Readonly<Record<string, string>> = {
  kv: 'fsm.kvs',
  register: 'fsm.register',
  deregister: 'fsm.deregister',
  'session-create': 'fsm.session',
  'session-destroy': 'fsm.session',
  txn: 'fsm.txn',
  'query-set': 'fsm.prepared-query',
  'query-delete': 'fsm.prepared-query',
  'tombstone-reap': 'fsm.tombstone',
  'coordinate-update': 'fsm.coordinate.batch-update',
  'autopilot-set': 'fsm.autopilot',
};

const WRITE_NAMES: Readonly<Record<string, string>> = {
  [catalogRegister.name]: 'catalog.register',
  [catalogDeregister.name]: 'catalog.deregister',
  [kvApply.name]: 'kvs.apply',
  [sessionCreate.name]: 'session.apply',
  [sessionDestroy.name]: 'session.apply',
  [txnApply.name]: 'txn.apply',
  [preparedQueryApply.name]: 'prepared-query.apply',
};

export function createServerMetrics(metrics: Metrics): ServerMetrics {
  const samples = (names: Readonly<Record<string, string>>) =>
    new Map(Object.entries(names).map(([key, name]) => [key, metrics.sample(name)]));
  const commands = samples(COMMAND_NAMES);
  const writes = samples(WRITE_NAMES);
  return {
    raftApply: metrics.counter('raft.apply'),
    commitTime: metrics.sample('raft.commitTime'),
    fsmApply: metrics.sample('raft.fsm.apply'),
    rpcRequest: metrics.counter('rpc.request'),
    rpcRequestError: metrics.counter('rpc.request_error'),
    rpcQuery: metrics.counter('rpc.query'),
    consistentRead: metrics.sample('rpc.consistentRead'),
    barrier: metrics.counter('raft.barrier'),
    roles: {
      leader: metrics.counter('raft.state.leader'),
      candidate: metrics.counter('raft.state.candidate'),
      follower: metrics.counter('raft.state.follower'),
    },
    command: (type) => commands.get(type),
    write: (endpoint) => writes.get(endpoint),
  };
}

/** Replication by peer: `raft.replication.appendEntries.rpc.<id>` and its kin. */
export function replicationMetrics(metrics: Metrics): ReplicationObserver {
  const known = new Map<NodeId, { logs: Counter; append: Sample; heartbeat: Sample }>();
  const of = (peer: NodeId) => {
    const found = known.get(peer);
    if (found !== undefined) return found;
    const made = {
      logs: metrics.counter(`raft.replication.appendEntries.logs.${peer}`),
      append: metrics.sample(`raft.replication.appendEntries.rpc.${peer}`),
      heartbeat: metrics.sample(`raft.replication.heartbeat.${peer}`),
    };
    known.set(peer, made);
    return made;
  };
  return {
    sent: (peer, entries) => of(peer).logs.add(entries),
    answered: (answer, peer, elapsedMs) => of(peer)[answer].add(elapsedMs),
  };
}

/** Where the gauges of a server come from. */
export interface ServerGaugeSources {
  readonly raftStatus: () => Pick<RaftStatus, 'appliedIndex' | 'lastLogIndex'>;
  /** Blocking queries that wait now. */
  readonly waitingQueries: () => number;
  readonly tables: () => Pick<Tables, 'nodes' | 'instances'>;
  /** Of the LAN pool. */
  readonly members: () => readonly Pick<GossipMember, 'status' | 'tags'>[];
  /** undefined on followers. */
  readonly health: () => ServerHealthReport | undefined;
  /** Sessions with a TTL; undefined on followers. */
  readonly timedSessions: () => number | undefined;
}

/** Looks at all of them before every report. */
export function collectServerGauges(registry: Metrics, sources: ServerGaugeSources): void {
  const gauge = (name: string) => registry.gauge(name);
  const [applied, last] = [gauge('raft.applied_index'), gauge('raft.last_index')];
  const [waiting, sessions] = [gauge('rpc.queries_blocking'), gauge('session_ttl.active')];
  const [healthy, tolerance] = [gauge('autopilot.healthy'), gauge('autopilot.failure_tolerance')];
  const [nodes, instances] = [gauge('state.nodes'), gauge('state.service_instances')];
  const [servers, clients] = [gauge('members.servers'), gauge('members.clients')];
  registry.onCollect(() => {
    const { appliedIndex, lastLogIndex } = sources.raftStatus();
    applied.set(appliedIndex);
    last.set(lastLogIndex);
    waiting.set(sources.waitingQueries());
    const tables = sources.tables();
    nodes.set(tables.nodes.size);
    instances.set(tables.instances.size);
    const alive = sources.members().filter((member) => member.status === 'alive');
    const aliveServers = alive.filter((member) => member.tags.role === 'consul').length;
    servers.set(aliveServers);
    clients.set(alive.length - aliveServers);
    const report = sources.health();
    // Only a leader knows: what it knew before it lost leadership must not stand for ever.
    setOrClear(healthy, report === undefined ? undefined : Number(report.Healthy));
    setOrClear(tolerance, report?.FailureTolerance);
    setOrClear(sessions, sources.timedSessions());
  });
}

function setOrClear(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.clear();
  else gauge.set(value);
}
