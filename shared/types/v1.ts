/**
 * The JSON objects of the `/v1` API as on the wire: names, key order and null-ness are Consul 1.8's
 * (reference: shared JSON objects). Build objects with keys in the declared order: `JSON.stringify` keeps it.
 */

/** An unsigned 64-bit number: a plain number while it is a safe integer, a bigint above. */
export type Uint64 = number | bigint;

export type CheckStatus = 'passing' | 'warning' | 'critical';

export interface Node {
  /** Node UUID; '' for external nodes. */
  ID: string;
  Node: string;
  Address: string;
  Datacenter: string;
  TaggedAddresses: Record<string, string> | null;
  Meta: Record<string, string> | null;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface ServiceAddress {
  Address: string;
  Port: number;
}

export interface Weights {
  Passing: number;
  Warning: number;
}

/** At minimum `{MeshGateway: {}, Expose: {}}`; the mesh fields are stored as given, in Consul's order. */
export interface ServiceProxy {
  DestinationServiceName?: string;
  DestinationServiceID?: string;
  LocalServiceAddress?: string;
  LocalServicePort?: number;
  Config?: Record<string, unknown>;
  Upstreams?: Record<string, unknown>[];
  MeshGateway: Record<string, unknown>;
  Expose: Record<string, unknown>;
}

export interface ServiceConnect {
  Native?: boolean;
}

/** One service instance, catalog form. Optional keys are absent when empty. */
export interface Service {
  Kind?: string;
  ID: string;
  Service: string;
  Tags: string[] | null;
  Address: string;
  TaggedAddresses?: Record<string, ServiceAddress>;
  Meta: Record<string, string> | null;
  Port: number;
  Weights: Weights;
  EnableTagOverride: boolean;
  Proxy: ServiceProxy;
  Connect: ServiceConnect;
  CreateIndex: number;
  ModifyIndex: number;
}

/** One service instance flattened with its node: `GET /v1/catalog/service/:service`. */
export interface ServiceNode {
  ID: string;
  Node: string;
  Address: string;
  Datacenter: string;
  TaggedAddresses: Record<string, string> | null;
  NodeMeta: Record<string, string> | null;
  ServiceKind: string;
  ServiceID: string;
  ServiceName: string;
  ServiceTags: string[];
  ServiceAddress: string;
  ServiceTaggedAddresses?: Record<string, ServiceAddress>;
  ServiceWeights: Weights;
  ServiceMeta: Record<string, string>;
  ServicePort: number;
  ServiceEnableTagOverride: boolean;
  ServiceProxy: ServiceProxy;
  ServiceConnect: ServiceConnect;
  CreateIndex: number;
  ModifyIndex: number;
}

/** All keys absent when empty. Durations are Go text, `TTL` is nanoseconds. */
export interface CheckDefinition {
  Interval?: string;
  OutputMaxSize?: number;
  Timeout?: string;
  DeregisterCriticalServiceAfter?: string;
  HTTP?: string;
  TLSSkipVerify?: boolean;
  Header?: Record<string, string[]>;
  Method?: string;
  Body?: string;
  TCP?: string;
  ScriptArgs?: string[];
  DockerContainerID?: string;
  Shell?: string;
  GRPC?: string;
  GRPCUseTLS?: boolean;
  AliasNode?: string;
  AliasService?: string;
  TTL?: number;
}

export interface HealthCheck {
  Node: string;
  CheckID: string;
  Name: string;
  /** The catalog does not validate it: usually a `CheckStatus`. */
  Status: string;
  Notes: string;
  Output: string;
  /** '' for a check of the node itself. */
  ServiceID: string;
  ServiceName: string;
  ServiceTags: string[] | null;
  Type: string;
  Definition: CheckDefinition;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface HealthEntry {
  Node: Node;
  Service: Service;
  Checks: HealthCheck[];
}

/** `Value` is base64; null when empty. `Session` is absent when the key is not locked. */
export interface KvEntry {
  LockIndex: Uint64;
  Key: string;
  Flags: Uint64;
  Value: string | null;
  Session?: string;
  CreateIndex: number;
  ModifyIndex: number;
}

/** `LockDelay` is nanoseconds. */
export interface Session {
  ID: string;
  Name: string;
  Node: string;
  LockDelay: number;
  Behavior: string;
  TTL: string;
  NodeChecks: string[] | null;
  ServiceChecks: { ID: string; Namespace: string }[] | null;
  Checks?: string[];
  CreateIndex: number;
  ModifyIndex: number;
}

/** A network coordinate (Vivaldi), seconds. `Vec` has 8 components. */
export interface Coordinate {
  Vec: number[];
  Error: number;
  Adjustment: number;
  Height: number;
}

/** Gossip member as `/v1/agent/members` shows it. `Status`: 0 none, 1 alive, 2 leaving, 3 left, 4 failed. */
export interface Member {
  Name: string;
  Addr: string;
  Port: number;
  Tags: Record<string, string>;
  Status: number;
  ProtocolMin: number;
  ProtocolMax: number;
  ProtocolCur: number;
  DelegateMin: number;
  DelegateMax: number;
  DelegateCur: number;
}

export interface RaftServer {
  ID: string;
  Node: string;
  Address: string;
  Leader: boolean;
  ProtocolVersion: string;
  Voter: boolean;
  /** How far the server's log is by what the leader knows. Only with `?last-index`, and only from the leader. */
  LastIndex?: number;
}

/** Body of `PUT /v1/catalog/register` after decoding. */
export interface RegisterRequest {
  Datacenter: string;
  ID: string;
  Node: string;
  Address: string;
  TaggedAddresses: Record<string, string> | null;
  NodeMeta: Record<string, string> | null;
  Service: Omit<Service, 'CreateIndex' | 'ModifyIndex'> | null;
  Check: Omit<HealthCheck, 'CreateIndex' | 'ModifyIndex'> | null;
  Checks: Omit<HealthCheck, 'CreateIndex' | 'ModifyIndex'>[] | null;
  SkipNodeUpdate: boolean;
  /** Of an agent that carries a floating service: refused when this is not its placement. Never in a body. */
  Floating?: FloatingFence;
  /** Of the leader: refused while floating services are placed on the node. Never in a body. */
  UnlessFloating?: boolean;
}

/** A floating service's placement, as its carrier knows it. */
export interface FloatingFence {
  ServiceID: string;
  Generation: number;
}

/** Body of `PUT /v1/catalog/deregister` after decoding. */
export interface DeregisterRequest {
  Datacenter: string;
  Node: string;
  ServiceID: string;
  CheckID: string;
  /** Of an agent that tidies up, or of the leader: what is placed on the node stays. Never in a body. */
  KeepFloating?: boolean;
}

export const EMPTY_PROXY: ServiceProxy = { MeshGateway: {}, Expose: {} };

/** The API level that clients parse: `Version` in `/v1/agent/self`, the `build` tag, the `Build` column. */
export const CONSUL_API_VERSION = '1.8.5';
