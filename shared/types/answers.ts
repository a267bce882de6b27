/** Answers of the `/v1` API that are put together for one endpoint, as on the wire. What they are made of is in `v1.ts`. */

import type { PreparedQuery } from './prepared-query.ts';
import type { TxnOutcome } from './txn.ts';
import type {
  Coordinate,
  HealthCheck,
  HealthEntry,
  Member,
  Node,
  RaftServer,
  Service,
  ServiceAddress,
  ServiceConnect,
  ServiceProxy,
  Uint64,
  Weights,
} from './v1.ts';

/** A service as its agent shows it. `ContentHash` only where it is asked for alone, the mesh fields only where used. */
export interface AgentService {
  Kind?: string;
  ID: string;
  Service: string;
  Tags: string[];
  Meta: Record<string, string>;
  Port: number;
  Address: string;
  TaggedAddresses?: Record<string, ServiceAddress>;
  Weights: Weights;
  EnableTagOverride: boolean;
  ContentHash?: string;
  Proxy?: ServiceProxy;
  Connect?: ServiceConnect;
}

/** `GET /v1/agent/health/service/id/:id`; both null when the agent has no such service. */
export interface AgentServiceHealth {
  AggregatedStatus: string;
  Service: AgentService | null;
  Checks: (Omit<HealthCheck, 'Definition'> & { Definition: Record<string, unknown> })[] | null;
}

export interface AgentSelf {
  Config: {
    Datacenter: string;
    NodeName: string;
    NodeID: string;
    Revision: string;
    Server: boolean;
    Version: string;
  };
  DebugConfig: Record<string, unknown>;
  /** null where coordinates are off. */
  Coord: Coordinate | null;
  Member: Member;
  Stats: Record<string, Record<string, string>>;
  Meta: Record<string, string>;
}

/** The last finished ten seconds. */
export interface AgentMetrics {
  Timestamp: string;
  Gauges: { Name: string; Value: number; Labels: Record<string, string> }[];
  Points: unknown[];
  Counters: MetricSummary[];
  Samples: MetricSummary[];
}

export interface MetricSummary {
  Name: string;
  Count: number;
  Rate: number;
  Sum: number;
  Min: number;
  Max: number;
  Mean: number;
  Stddev: number;
  Labels: Record<string, string>;
}

/** `GET /v1/catalog/node/:node`, services by ID. */
export interface NodeWithServices {
  Node: Node;
  Services: Record<string, Service>;
}

/** `GET /v1/catalog/node-services/:node`; both null when the node is unknown. */
export interface NodeWithServiceList {
  Node: Node | null;
  Services: Service[] | null;
}

export interface NodeCoordinate {
  Node: string;
  Segment: string;
  Coord: Coordinate;
}

export interface DatacenterCoordinates {
  Datacenter: string;
  AreaID: string;
  Coordinates: NodeCoordinate[];
}

/** `Payload` is base64, null when there is none. `LTime` is 0 for an event that was only just fired. */
export interface EventEntry {
  ID: string;
  Name: string;
  Payload: string | null;
  NodeFilter: string;
  ServiceFilter: string;
  TagFilter: string;
  Version: number;
  LTime: Uint64;
}

/** `LastContact` is nanoseconds. */
interface EmbeddedMeta {
  Index: number;
  LastContact: number;
  KnownLeader: boolean;
  ConsistencyLevel: string;
}

export interface QueryResult extends EmbeddedMeta {
  Service: string;
  Nodes: HealthEntry[];
  DNS: { TTL: string };
  Datacenter: string;
  /** Datacenters that were tried after the own one. */
  Failovers: number;
}

/** A query as it would be executed for one name, templates filled in. */
export interface QueryExplanation extends EmbeddedMeta {
  Query: PreparedQuery;
}

/** Of a transaction that only reads, with what is known of the answering server. */
export interface TxnAnswer extends TxnOutcome, Partial<EmbeddedMeta> {}

export interface RaftConfiguration {
  Servers: RaftServer[];
  Index: number;
}

/** Answer of a create: the new UUID. */
export interface CreatedId {
  ID: string;
}

/** Durations are Go text. A request may give nanoseconds instead. */
export interface AutopilotConfiguration {
  CleanupDeadServers: boolean;
  LastContactThreshold: string;
  MaxTrailingLogs: number;
  MinQuorum: number;
  ServerStabilizationTime: string;
  RedundancyZoneTag: string;
  DisableUpgradeMigration: boolean;
  UpgradeVersionTag: string;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface AutopilotServerHealth {
  ID: string;
  Name: string;
  Address: string;
  SerfStatus: string;
  Version: string;
  Leader: boolean;
  /** Go text; `-1ns`: not reachable. */
  LastContact: string;
  LastTerm: number;
  LastIndex: number;
  Healthy: boolean;
  Voter: boolean;
  StableSince: string;
}

export interface AutopilotHealth {
  Healthy: boolean;
  /** Servers that may still fail without loss of the quorum. */
  FailureTolerance: number;
  Servers: AutopilotServerHealth[] | null;
}

/** The gossip keys of one pool, each with how many members have it. */
export interface KeyringEntry {
  WAN: boolean;
  Datacenter: string;
  Segment: string;
  Messages?: Record<string, string>;
  Keys: Record<string, number>;
  PrimaryKeys: Record<string, number>;
  NumNodes: number;
  Error?: string;
}
