/** What the HTTP routes need of the agent they run in. Implemented by the agent, faked in tests. */

import type { LogLevel, LogRecord } from '../../shared/log.ts';
import type { CheckDefinition, ServiceDefinition } from '../../shared/types/definitions.ts';
import type { NewUserEvent, UserEvent } from '../../shared/types/user-event.ts';
import type { CheckStatus, Coordinate, HealthCheck, Member, Service } from '../../shared/types/v1.ts';
import type { CallOptions } from '../rpc/backend.ts';
import type { KeyringAnswer, KeyringArgs } from '../rpc/operator-endpoints.ts';
import type { SavedSnapshot, SnapshotOptions } from '../rpc/snapshots.ts';

export interface AgentSelf {
  readonly config: {
    readonly datacenter: string;
    readonly nodeName: string;
    readonly nodeId: string;
    readonly revision: string;
    readonly isServer: boolean;
    /** `1.8.5`. */
    readonly version: string;
  };
  /** Runtime settings, keys sorted by the renderer, secrets already hidden. */
  readonly debugConfig: Readonly<Record<string, unknown>>;
  readonly coordinate: Coordinate | null;
  readonly member: Member;
  readonly stats: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly meta: Readonly<Record<string, string>>;
}

/** One agent of the pool as the gateway sees it. */
export interface PoolAgent {
  readonly node: string;
  readonly id: string;
  readonly role: 'server' | 'client';
  readonly status: 'alive' | 'leaving' | 'left' | 'failed' | 'none';
  /** Base URL of its HTTP API, '' when it did not announce one. */
  readonly httpAddress: string;
  readonly isLeader: boolean;
}

/**
 * Mutations validate first and throw `ConsulError` with the status and text of the reference
 * (400 `Missing service name`, 404 `No service registered with ID "x"`, …); nothing is changed then.
 */
export interface AgentApi {
  self(): AgentSelf;
  /** LAN or WAN members, order undefined. A client agent has no WAN members (null). */
  members(wan: boolean): readonly Member[] | null;
  pool(): Promise<readonly PoolAgent[]>;
  /** Joins one address. @throws the gossip error text as 500 */
  join(address: string, wan: boolean): Promise<void>;
  /** Starts a graceful leave; resolves at once, the process ends later. */
  leave(): Promise<void>;
  forceLeave(node: string, prune: boolean): Promise<void>;
  reload(): Promise<void>;

  /** Local services by ID, catalog form with indexes 0. */
  services(): ReadonlyMap<string, Service>;
  /** Local checks by ID, indexes 0. */
  checks(): ReadonlyMap<string, HealthCheck>;
  /** Calls back once when anything about this local service changes (or it goes). @returns a cancel function */
  onServiceChange(serviceId: string, changed: () => void): () => void;

  /**
   * Registers, then pushes to the catalog; a failed push is only logged. `isFloating`: the service belongs to the cluster
   * and this agent is to carry it, unless it has one of its own with this ID.
   */
  registerService(
    definition: ServiceDefinition,
    options: { readonly replaceExistingChecks: boolean; readonly isFloating: boolean },
  ): Promise<void>;
  /** `isFloating`: also when it is a floating service that another agent carries. */
  deregisterService(serviceId: string, options: { readonly isFloating: boolean }): Promise<void>;
  registerCheck(definition: CheckDefinition): Promise<void>;
  deregisterCheck(checkId: string): Promise<void>;
  /** @throws 500 `CheckID "x" does not have associated TTL` */
  updateTtl(checkId: string, status: CheckStatus, output: string): Promise<void>;
  setNodeMaintenance(enable: boolean, reason: string): Promise<void>;
  setServiceMaintenance(serviceId: string, enable: boolean, reason: string): Promise<void>;

  /** Has the servers of a datacenter spread a user event. @throws ConsulError 500 for bad filters and large events */
  fireEvent(event: NewUserEvent, options: CallOptions): Promise<UserEvent>;
  /** Events that came here and were meant for this agent, oldest first. */
  events(): readonly UserEvent[];
  /** Calls back once, when the next one has come. @returns a cancel function */
  onEvent(arrived: () => void): () => void;

  /** Rejects with a `ConsulError` before anything of the archive was made or read; see `SnapshotAccess`. */
  saveSnapshot(options: SnapshotOptions): Promise<SavedSnapshot>;
  restoreSnapshot(options: SnapshotOptions, archive: AsyncIterable<Uint8Array>): Promise<void>;

  /** The WAN pool and the LAN pools of all datacenters; with `isLocalOnly` just the own LAN pool. */
  keyring(args: KeyringArgs, isLocalOnly: boolean, token: string): Promise<readonly KeyringAnswer[]>;

  /** Streams log records of at least this level until cancelled. */
  monitor(level: LogLevel, receive: (record: LogRecord) => void): () => void;
  /** The last finished interval, as `/v1/agent/metrics` shows it. */
  metrics(): unknown;
  /** The same for Prometheus; undefined when that is off. */
  prometheusMetrics(): string | undefined;
  /** As `/v1/agent/host` shows it. */
  host(): Promise<unknown>;
}
