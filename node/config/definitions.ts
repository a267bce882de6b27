/** Service and check definitions in files (snake_case) turned into the agent's definition types. */

import { parseDurationMs } from '../../shared/durations.ts';
import { metadataProblem } from '../../shared/metadata.ts';
import {
  type CheckDefinition,
  EMPTY_CHECK_DEFINITION,
  EMPTY_SERVICE_DEFINITION,
  type ServiceDefinition,
} from '../../shared/types/definitions.ts';
import type { ServiceAddress } from '../../shared/types/v1.ts';
import { weightsProblem } from '../../shared/weights.ts';
import { isTree, type Tree, type TreeValue } from './decode.ts';

/** @throws DurationSyntaxError */
export function serviceFromTree(tree: Tree): ServiceDefinition {
  const connect = isTree(tree.connect) ? tree.connect : {};
  const weights = tree.weights;
  const proxy = isTree(tree.proxy) ? tree.proxy : undefined;
  const sidecar = connect.sidecar_service;
  return {
    ...EMPTY_SERVICE_DEFINITION,
    id: text(tree.id),
    name: text(tree.name),
    tags: texts(tree.tags),
    address: text(tree.address),
    port: number(tree.port),
    taggedAddresses: taggedAddresses(tree.tagged_addresses),
    meta: textMap(tree.meta),
    weights: isTree(weights)
      ? { Passing: number(weights.passing, 1), Warning: number(weights.warning, 1) }
      : undefined,
    enableTagOverride: tree.enable_tag_override === true,
    token: text(tree.token),
    kind: text(tree.kind),
    proxy: proxy === undefined ? undefined : proxyFromTree(proxy),
    connectNative: connect.native === true,
    sidecar: isTree(sidecar) ? serviceFromTree(sidecar) : undefined,
    checks: [tree.check, ...list(tree.checks)].filter(isTree).map(checkFromTree),
  };
}

/** @throws DurationSyntaxError */
export function checkFromTree(tree: Tree): CheckDefinition {
  const args = ['script_args', 'args', 'scriptargs']
    .map((key) => texts(tree[key]))
    .find((found) => found.length > 0);
  return {
    ...EMPTY_CHECK_DEFINITION,
    id: text(tree.id),
    name: text(tree.name),
    notes: text(tree.notes),
    serviceId: text(tree.service_id) || text(tree.serviceid),
    token: text(tree.token),
    status: text(tree.status),
    scriptArgs: args ?? [],
    http: text(tree.http),
    method: text(tree.method),
    header: headers(tree.header),
    body: text(tree.body),
    tcp: text(tree.tcp),
    udp: text(tree.udp),
    grpc: text(tree.grpc),
    grpcUseTls: tree.grpc_use_tls === true,
    h2ping: text(tree.h2ping),
    h2pingUseTls: tree.h2ping_use_tls !== false,
    tlsSkipVerify: tree.tls_skip_verify === true || tree.tlsskipverify === true,
    tlsServerName: text(tree.tls_server_name),
    dockerContainerId: text(tree.docker_container_id) || text(tree.dockercontainerid),
    shell: text(tree.shell),
    aliasNode: text(tree.alias_node),
    aliasService: text(tree.alias_service),
    ttlMs: duration(tree.ttl),
    intervalMs: duration(tree.interval),
    timeoutMs: duration(tree.timeout),
    deregisterCriticalServiceAfterMs: duration(
      tree.deregister_critical_service_after ?? tree.deregistercriticalserviceafter,
    ),
    successBeforePassing: number(tree.success_before_passing),
    failuresBeforeCritical: number(tree.failures_before_critical),
    outputMaxSize: number(tree.output_max_size),
  };
}

function proxyFromTree(tree: Tree): NonNullable<ServiceDefinition['proxy']> {
  const destination = text(tree.destination_service_name);
  const destinationId = text(tree.destination_service_id);
  const localAddress = text(tree.local_service_address);
  const localPort = number(tree.local_service_port);
  const upstreams = list(tree.upstreams).filter(isTree);
  return {
    ...(destination === '' ? {} : { DestinationServiceName: destination }),
    ...(destinationId === '' ? {} : { DestinationServiceID: destinationId }),
    ...(localAddress === '' ? {} : { LocalServiceAddress: localAddress }),
    ...(localPort === 0 ? {} : { LocalServicePort: localPort }),
    ...(isTree(tree.config) ? { Config: tree.config } : {}),
    ...(upstreams.length === 0 ? {} : { Upstreams: upstreams }),
    MeshGateway: isTree(tree.mesh_gateway) ? tree.mesh_gateway : {},
    Expose: isTree(tree.expose) ? tree.expose : {},
  };
}

function taggedAddresses(value: TreeValue | undefined): Record<string, ServiceAddress> {
  if (!isTree(value)) return {};
  const entries = Object.entries(value).flatMap(([key, item]): [string, ServiceAddress][] =>
    isTree(item) ? [[key, { Address: text(item.address), Port: number(item.port) }]] : [],
  );
  return Object.fromEntries(entries);
}

function headers(value: TreeValue | undefined): Record<string, string[]> {
  if (!isTree(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, texts(item)]));
}

export function text(value: TreeValue | undefined, fallback = ''): string {
  return typeof value === 'string' ? value : fallback;
}

export function number(value: TreeValue | undefined, fallback = 0): number {
  return typeof value === 'number' ? value : fallback;
}

export function list(value: TreeValue | undefined): TreeValue[] {
  return Array.isArray(value) ? value : [];
}

export function texts(value: TreeValue | undefined): string[] {
  return list(value).filter((item) => typeof item === 'string');
}

export function textMap(value: TreeValue | undefined): Record<string, string> {
  if (!isTree(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function duration(value: TreeValue | undefined): number {
  const given = text(value);
  return given === '' ? 0 : parseDurationMs(given);
}

/** What a service of a file may not be, in Consul's words; other rules are checked when it is registered. */
export function serviceProblem({ name, meta, weights }: ServiceDefinition): string | undefined {
  const ofMeta = metadataProblem(meta);
  if (ofMeta !== undefined) return `invalid meta for service ${name}: ${ofMeta}`;
  const ofWeights = weightsProblem(weights);
  return ofWeights === undefined ? undefined : `Invalid weight definition for service ${name}: ${ofWeights}`;
}
