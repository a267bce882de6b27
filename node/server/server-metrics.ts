/** The names under which a server counts what it does (reference: telemetry). */

import type { Counter, Metrics, Sample } from '../../shared/metrics.ts';
import {
  catalogDeregister,
  catalogRegister,
  kvApply,
  sessionCreate,
  sessionDestroy,
} from '../rpc/endpoints.ts';
import { preparedQueryApply } from '../rpc/query-endpoints.ts';
import { txnApply } from '../rpc/txn-endpoints.ts';

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
