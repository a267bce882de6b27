/** What the agent's own services and checks need from outside, and what they offer to the rest of the agent. */

import type { Env } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import type {
  CheckDefinition,
  DefinitionSource,
  ServiceDefinition,
} from '../../../shared/types/definitions.ts';
import type { CheckStatus, Coordinate, HealthCheck, Service } from '../../../shared/types/v1.ts';
import type { Backend } from '../../rpc/backend.ts';

/** How the node itself is registered in the catalog. */
export interface NodeIdentity {
  readonly nodeName: string;
  /** UUID. */
  readonly nodeId: string;
  /** The advertised address. */
  readonly nodeAddress: string;
  /** `lan`, `lan_ipv4`, `wan`, … */
  readonly taggedAddresses: Readonly<Record<string, string>>;
  /** The configured pairs; `consul-network-segment` is added when missing. */
  readonly nodeMeta: Readonly<Record<string, string>>;
  readonly datacenter: string;
}

/** PEM texts that checks over TLS use (`enable_agent_tls_for_checks`). */
export interface CheckTls {
  readonly ca?: string | readonly string[] | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface LocalAgentOptions extends NodeIdentity {
  /** undefined (`-dev`): nothing is persisted. */
  readonly dataDir: string | undefined;
  readonly backend: Backend;
  readonly env: Env;
  readonly log: Logger;
  /** LAN members, ≥ 1: scales the anti-entropy and coordinate intervals. */
  readonly clusterSize: () => number;
  /** Scripts in definitions that come by the API. */
  readonly enableScriptChecks: boolean;
  /** Scripts in definitions that come from files. */
  readonly enableLocalScriptChecks: boolean;
  /** Bytes, ≥ 1; default 4096. */
  readonly checkOutputMaxSize?: number | undefined;
  /** Milliseconds, ≥ 0; default 5 m. 0: output-only changes are pushed at once. */
  readonly checkUpdateIntervalMs?: number | undefined;
  readonly discardCheckOutput?: boolean | undefined;
  /** Inclusive range; default 21000–21255. `max` < 1 switches automatic ports off. */
  readonly sidecarPorts?: { readonly min: number; readonly max: number } | undefined;
  /** Checks that may run at the same time; default 256. */
  readonly maxRunningChecks?: number | undefined;
  readonly checkTls?: CheckTls | undefined;
  /** Token of the agent itself (node, reads); default ''. */
  readonly agentToken?: (() => string) | undefined;
  /** Token of items registered without one; default ''. */
  readonly defaultToken?: (() => string) | undefined;
  /** Full sync interval before scaling; default 1 m. */
  readonly fullSyncIntervalMs?: number | undefined;
  /** undefined: coordinates are off. The callback answers null while there is none yet. */
  readonly coordinate?: (() => Coordinate | null) | undefined;
  /** Until the first coordinate is sent; default: as for later ones, from 15 s on. */
  readonly coordinateDelayMs?: number | undefined;
}

export interface Definitions {
  readonly services: readonly ServiceDefinition[];
  readonly checks: readonly CheckDefinition[];
}

export interface RegisterServiceOptions {
  readonly source: DefinitionSource;
  readonly replaceExistingChecks: boolean;
  /** The service belongs to the cluster and this agent is to carry it; one that is this agent's own stays its own. */
  readonly isFloating?: boolean | undefined;
}

export interface DeregisterServiceOptions {
  /** Also when it is a floating service that another agent carries. */
  readonly isFloating: boolean;
}

/** The section `agent` of `proconsul info`. */
export interface LocalAgentStats {
  readonly check_monitors: number;
  readonly check_ttls: number;
  readonly checks: number;
  readonly services: number;
}

export interface LocalAgent {
  /**
   * Registers the file definitions, restores what is persisted, starts checks and anti-entropy. Call once.
   *
   * @throws ConsulError `Failed to register service "x": …` for a bad definition; damaged persisted files are only logged
   */
  start(definitions: Definitions): Promise<void>;
  /** Stops checks, timers and pushes; resolves when everything pending is on disk. */
  stop(): Promise<void>;

  /** Live views, catalog form with indexes 0. */
  services(): ReadonlyMap<string, Service>;
  checks(): ReadonlyMap<string, HealthCheck>;
  /** Calls back once when this service's definition changes or goes. */
  onServiceChange(serviceId: string, changed: () => void): () => void;

  /** Resolves when on disk and pushed (floating: committed); a failed push is only logged. @throws ConsulError, nothing changed then */
  registerService(definition: ServiceDefinition, options: RegisterServiceOptions): Promise<void>;
  deregisterService(serviceId: string, options?: DeregisterServiceOptions): Promise<void>;
  registerCheck(definition: CheckDefinition, options?: { readonly source: DefinitionSource }): Promise<void>;
  deregisterCheck(checkId: string): Promise<void>;
  /** Cuts the output to the limit itself. Resolves at once; the push follows. */
  updateTtl(checkId: string, status: CheckStatus, output: string): Promise<void>;
  setNodeMaintenance(enable: boolean, reason: string): Promise<void>;
  setServiceMaintenance(serviceId: string, enable: boolean, reason: string): Promise<void>;

  /** Replaces all file definitions; checks that stay keep their status. @throws ConsulError as `start` */
  reloadDefinitions(definitions: Definitions): Promise<void>;
  setDiscardCheckOutput(discard: boolean): void;
  /** New node metadata after a reload; pushed with the next sync. */
  setNodeMeta(nodeMeta: Readonly<Record<string, string>>): void;

  /** Nested; a full sync follows the last resume. */
  pauseSync(): void;
  resumeSync(): void;
  /** A server joined or a leader was elected: a full sync follows within 3 s. */
  serverJoined(): void;

  stats(): LocalAgentStats;
}
