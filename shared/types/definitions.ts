/** Service and check definitions as an agent takes them, whether from a file or the API, after decoding and before validation. */

import type { CheckStatus, ServiceAddress, ServiceProxy, Weights } from './v1.ts';

export interface ServiceDefinition {
  /** '' means the name. */
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly address: string;
  readonly port: number;
  readonly taggedAddresses: Readonly<Record<string, ServiceAddress>>;
  readonly meta: Readonly<Record<string, string>>;
  /** undefined: 1/1. */
  readonly weights: Weights | undefined;
  readonly enableTagOverride: boolean;
  readonly token: string;
  readonly kind: string;
  readonly proxy: ServiceProxy | undefined;
  readonly connectNative: boolean;
  /** `Connect.SidecarService`; its own checks and fields as a definition. */
  readonly sidecar: ServiceDefinition | undefined;
  /** `Check` first, then `Checks`; entirely empty ones already dropped. */
  readonly checks: readonly CheckDefinition[];
}

/** All durations are milliseconds, 0 when unset; all texts '' when unset. */
export interface CheckDefinition {
  readonly id: string;
  readonly name: string;
  readonly notes: string;
  readonly serviceId: string;
  readonly token: string;
  /** '' means critical at first; any other text than a `CheckStatus` is refused. */
  readonly status: CheckStatus | string;
  readonly scriptArgs: readonly string[];
  readonly http: string;
  readonly method: string;
  readonly header: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
  readonly tcp: string;
  readonly udp: string;
  readonly grpc: string;
  readonly grpcUseTls: boolean;
  readonly h2ping: string;
  readonly h2pingUseTls: boolean;
  readonly tlsSkipVerify: boolean;
  readonly tlsServerName: string;
  readonly dockerContainerId: string;
  readonly shell: string;
  readonly aliasNode: string;
  readonly aliasService: string;
  readonly ttlMs: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly deregisterCriticalServiceAfterMs: number;
  readonly successBeforePassing: number;
  readonly failuresBeforeCritical: number;
  /** Bytes; 0 means the agent's limit; negative is refused. */
  readonly outputMaxSize: number;
}

/** Where a definition came from: decides error texts, script permission and what is persisted. */
export type DefinitionSource = 'file' | 'api';

export const EMPTY_CHECK_DEFINITION: CheckDefinition = {
  id: '',
  name: '',
  notes: '',
  serviceId: '',
  token: '',
  status: '',
  scriptArgs: [],
  http: '',
  method: '',
  header: {},
  body: '',
  tcp: '',
  udp: '',
  grpc: '',
  grpcUseTls: false,
  h2ping: '',
  h2pingUseTls: true,
  tlsSkipVerify: false,
  tlsServerName: '',
  dockerContainerId: '',
  shell: '',
  aliasNode: '',
  aliasService: '',
  ttlMs: 0,
  intervalMs: 0,
  timeoutMs: 0,
  deregisterCriticalServiceAfterMs: 0,
  successBeforePassing: 0,
  failuresBeforeCritical: 0,
  outputMaxSize: 0,
};

export const EMPTY_SERVICE_DEFINITION: ServiceDefinition = {
  id: '',
  name: '',
  tags: [],
  address: '',
  port: 0,
  taggedAddresses: {},
  meta: {},
  weights: undefined,
  enableTagOverride: false,
  token: '',
  kind: '',
  proxy: undefined,
  connectNative: false,
  sidecar: undefined,
  checks: [],
};
