/** Bodies of `/v1` requests as clients write them: everything optional but what a request can't do without. */

import type { CheckStatus, Coordinate, ServiceAddress, Uint64, Weights } from './v1.ts';

/** Go text such as `10s` or `1m30s`, or nanoseconds. */
export type Duration = string | number;

/** How an agent checks: by `TTL` (the application reports), or by one probe with an `Interval`. */
export interface CheckSpecification {
  Notes?: string;
  /** Initial state; `critical` if not given. */
  Status?: CheckStatus;
  TTL?: Duration;
  HTTP?: string;
  Method?: string;
  Header?: Record<string, string[]>;
  Body?: string;
  TLSSkipVerify?: boolean;
  /** `host:port`. */
  TCP?: string;
  /** `host:port` or `host:port/service`. */
  GRPC?: string;
  GRPCUseTLS?: boolean;
  ScriptArgs?: string[];
  DockerContainerID?: string;
  Shell?: string;
  AliasNode?: string;
  AliasService?: string;
  Interval?: Duration;
  Timeout?: Duration;
  SuccessBeforePassing?: number;
  FailuresBeforeCritical?: number;
  /** At least a minute. */
  DeregisterCriticalServiceAfter?: Duration;
  /** Bytes. */
  OutputMaxSize?: number;
}

/** A check inside a service registration. */
export interface ServiceCheckRegistration extends CheckSpecification {
  CheckID?: string;
  Name?: string;
}

/** `PUT /v1/agent/check/register`. */
export interface CheckRegistration extends CheckSpecification {
  Name: string;
  /** The name if not given. */
  ID?: string;
  /** Binds the check to a service of the agent. */
  ServiceID?: string;
  Token?: string;
}

/** `PUT /v1/agent/service/register`. */
export interface ServiceRegistration {
  Name: string;
  /** The name if not given; the same ID again replaces the service. */
  ID?: string;
  Tags?: string[];
  Address?: string;
  Port?: number;
  TaggedAddresses?: Record<string, ServiceAddress>;
  Meta?: Record<string, string>;
  EnableTagOverride?: boolean;
  Weights?: Weights;
  Check?: ServiceCheckRegistration;
  Checks?: ServiceCheckRegistration[];
  Token?: string;
  Kind?: string;
  Proxy?: Record<string, unknown>;
  Connect?: Record<string, unknown>;
}

/** `PUT /v1/agent/check/update/:id`. */
export interface CheckUpdate {
  Status: CheckStatus;
  Output?: string;
}

export interface CatalogService {
  Service: string;
  ID?: string;
  Tags?: string[];
  Address?: string;
  TaggedAddresses?: Record<string, ServiceAddress>;
  Meta?: Record<string, string>;
  Port?: number;
  Weights?: Weights;
  EnableTagOverride?: boolean;
  Kind?: string;
  Proxy?: Record<string, unknown>;
  Connect?: Record<string, unknown>;
}

export interface CatalogCheck {
  Name: string;
  CheckID?: string;
  Node?: string;
  Status?: string;
  Notes?: string;
  Output?: string;
  /** '' or absent: a check of the node. */
  ServiceID?: string;
  Definition?: Record<string, unknown>;
}

/** `PUT /v1/catalog/register`. */
export interface CatalogRegistration {
  Node: string;
  /** Needed unless `SkipNodeUpdate`. */
  Address?: string;
  ID?: string;
  Datacenter?: string;
  TaggedAddresses?: Record<string, string>;
  NodeMeta?: Record<string, string>;
  Service?: CatalogService;
  Check?: CatalogCheck;
  Checks?: CatalogCheck[];
  SkipNodeUpdate?: boolean;
}

/** `PUT /v1/catalog/deregister`: a service, else a check, else the whole node. */
export interface CatalogDeregistration {
  Node: string;
  Datacenter?: string;
  ServiceID?: string;
  CheckID?: string;
}

/** `PUT /v1/session/create`. */
export interface SessionRequest {
  Name?: string;
  /** The agent's own node if not given. */
  Node?: string;
  /** How long its locks stay closed after it ended against its will; 15 s if not given. */
  LockDelay?: Duration;
  Behavior?: 'release' | 'delete';
  /** '' or `10s` to `24h`. */
  TTL?: string;
  NodeChecks?: string[];
  ServiceChecks?: { ID: string }[];
}

/** One operation of `PUT /v1/txn`: exactly one of the keys. `Value` is base64. */
export interface TxnOperation {
  KV?: {
    Verb: string;
    Key: string;
    Value?: string | null;
    Flags?: Uint64;
    Index?: Uint64;
    Session?: string;
  };
  Node?: { Verb: string; Node: Record<string, unknown> };
  Service?: { Verb: string; Node: string; Service: Record<string, unknown> };
  Check?: { Verb: string; Check: Record<string, unknown> };
}

/** `POST /v1/query` and `PUT /v1/query/:id`. */
export interface QueryRequest {
  Name?: string;
  Session?: string;
  Token?: string;
  Template?: { Type: string; Regexp?: string; RemoveEmptyTags?: boolean };
  Service: {
    Service: string;
    Failover?: { NearestN?: number; Datacenters?: string[] };
    OnlyPassing?: boolean;
    IgnoreCheckIDs?: string[];
    Near?: string;
    Tags?: string[];
    NodeMeta?: Record<string, string>;
    ServiceMeta?: Record<string, string>;
    Connect?: boolean;
  };
  DNS?: { TTL?: Duration };
}

/** `PUT /v1/coordinate/update`. */
export interface CoordinateUpdate {
  Node: string;
  Segment?: string;
  Datacenter?: string;
  Coord: Coordinate;
}

/** `PUT /v1/operator/autopilot/configuration`: what is left out becomes 0, false or ''. */
export interface AutopilotRequest {
  CleanupDeadServers?: boolean;
  LastContactThreshold?: Duration;
  MaxTrailingLogs?: number;
  MinQuorum?: number;
  ServerStabilizationTime?: Duration;
  RedundancyZoneTag?: string;
  DisableUpgradeMigration?: boolean;
  UpgradeVersionTag?: string;
}
