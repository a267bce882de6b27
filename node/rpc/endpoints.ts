/** Every operation that servers answer, by Consul's names. Arguments are plain data that msgpack can carry. */

import type {
  Coordinate,
  DeregisterRequest,
  HealthCheck,
  HealthEntry,
  KvEntry,
  Node,
  RaftServer,
  RegisterRequest,
  Service,
  ServiceNode,
  Session,
  Uint64,
} from '../../shared/types/v1.ts';
import { readEndpoint, writeEndpoint } from './endpoint.ts';

/** What narrows or orders a list. Empty text and empty maps mean: not asked for. */
export interface ListModifiers {
  /** A filter expression over the endpoint's objects. */
  readonly filter: string;
  /** Node name to sort by distance from. */
  readonly near: string;
  /** Every pair must equal the node's meta. */
  readonly nodeMeta: Readonly<Record<string, string>>;
}

export const NO_MODIFIERS: ListModifiers = { filter: '', near: '', nodeMeta: {} };

export type NoArgs = Readonly<Record<never, never>>;

export interface ServiceArgs extends ListModifiers {
  /** Service name, any case. */
  readonly service: string;
  /** All must be present, any case. */
  readonly tags: readonly string[];
  /** 'connect': proxies and native instances for the service. */
  readonly kind: 'service' | 'connect' | 'ingress';
}

export interface HealthServiceArgs extends ServiceArgs {
  /** Only instances whose checks all pass. */
  readonly passingOnly: boolean;
}

export interface NodeArgs {
  /** Node name (any case), or where Consul allows it a unique ID prefix. */
  readonly node: string;
  readonly filter: string;
}

export const catalogListNodes = readEndpoint<ListModifiers, Node[]>('Catalog.ListNodes');
export const catalogListServices = readEndpoint<Pick<ListModifiers, 'nodeMeta'>, Record<string, string[]>>(
  'Catalog.ListServices',
);
export const catalogServiceNodes = readEndpoint<ServiceArgs, ServiceNode[]>('Catalog.ServiceNodes');
/** null when the node is unknown. */
export const catalogNodeServices = readEndpoint<
  NodeArgs,
  { Node: Node; Services: Record<string, Service> } | null
>('Catalog.NodeServices');
/** Both null when the node is unknown. */
export const catalogNodeServiceList = readEndpoint<
  NodeArgs,
  { Node: Node | null; Services: Service[] | null }
>('Catalog.NodeServiceList');
/** Never blocks; answered without a leader. */
export const catalogListDatacenters = readEndpoint<NoArgs, string[]>('Catalog.ListDatacenters');
export const catalogRegister = writeEndpoint<RegisterRequest, true>('Catalog.Register');
export const catalogDeregister = writeEndpoint<DeregisterRequest, true>('Catalog.Deregister');

export const healthNodeChecks = readEndpoint<NodeArgs, HealthCheck[]>('Health.NodeChecks');
export const healthServiceChecks = readEndpoint<ListModifiers & { readonly service: string }, HealthCheck[]>(
  'Health.ServiceChecks',
);
export const healthChecksInState = readEndpoint<ListModifiers & { readonly state: string }, HealthCheck[]>(
  'Health.ChecksInState',
);
export const healthServiceNodes = readEndpoint<HealthServiceArgs, HealthEntry[]>('Health.ServiceNodes');

/** `[]` when the key is missing, else one entry. */
export const kvGet = readEndpoint<{ readonly key: string }, KvEntry[]>('KVS.Get');
export const kvList = readEndpoint<{ readonly prefix: string }, KvEntry[]>('KVS.List');
export const kvListKeys = readEndpoint<{ readonly prefix: string; readonly separator: string }, string[]>(
  'KVS.ListKeys',
);

export type KvVerb = 'set' | 'cas' | 'lock' | 'unlock' | 'delete' | 'delete-cas' | 'delete-tree';

export interface KvApplyArgs {
  readonly verb: KvVerb;
  /** Key, or prefix for `delete-tree`. */
  readonly key: string;
  /** Empty for deletes. */
  readonly value: Uint8Array;
  readonly flags: Uint64;
  /** For `cas` and `delete-cas`. */
  readonly index: Uint64;
  /** For `lock` and `unlock`. */
  readonly session: string;
}

/** Whether the write took effect: false when a cas or lock lost. */
export const kvApply = writeEndpoint<KvApplyArgs, boolean>('KVS.Apply');

export interface SessionCreateArgs {
  readonly name: string;
  readonly node: string;
  /** Nanoseconds, ≥ 0. */
  readonly lockDelayNs: number;
  readonly behavior: string;
  /** As given: Go duration text or ''. */
  readonly ttl: string;
  readonly nodeChecks: readonly string[] | null;
  readonly serviceChecks: readonly { readonly ID: string; readonly Namespace: string }[] | null;
  /** The old form; undefined when the request had none. */
  readonly checks: readonly string[] | undefined;
}

/** The new session's ID. */
export const sessionCreate = writeEndpoint<SessionCreateArgs, string>('Session.Create');
export const sessionDestroy = writeEndpoint<{ readonly id: string }, true>('Session.Destroy');
/** `[]` when unknown. Leader only, restarts the TTL; nothing is logged. */
export const sessionRenew = writeEndpoint<{ readonly id: string }, Session[]>('Session.Renew');
export const sessionGet = readEndpoint<{ readonly id: string }, Session[]>('Session.Get');
export const sessionList = readEndpoint<NoArgs, Session[]>('Session.List');
export const sessionNodeSessions = readEndpoint<{ readonly node: string }, Session[]>('Session.NodeSessions');

/** Address of the leader's RPC listener, '' when none. Answered by the asked server itself. */
export const statusLeader = readEndpoint<NoArgs, string>('Status.Leader');
export const statusPeers = readEndpoint<NoArgs, string[]>('Status.Peers');

export const operatorRaftConfiguration = readEndpoint<NoArgs, { Servers: RaftServer[]; Index: number }>(
  'Operator.RaftGetConfiguration',
);
/** The same with `LastIndex` where the asked server knows it. */
export const operatorRaftProgress = readEndpoint<NoArgs, { Servers: RaftServer[]; Index: number }>(
  'Operator.RaftGetProgress',
);
/** Exactly one of both is not ''. */
export const operatorRaftRemovePeer = writeEndpoint<{ readonly id: string; readonly address: string }, true>(
  'Operator.RaftRemovePeer',
);

export const coordinateListNodes = readEndpoint<
  NoArgs,
  { Node: string; Segment: string; Coord: Coordinate }[]
>('Coordinate.ListNodes');
export const coordinateUpdate = writeEndpoint<
  { readonly node: string; readonly coordinate: Coordinate },
  true
>('Coordinate.Update');
