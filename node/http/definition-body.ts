/** Bodies of agent registrations: services with their nested checks, and checks on their own. */

import type { CheckDefinition, ServiceDefinition } from '../../shared/types/definitions.ts';
import {
  bool,
  type Decoded,
  type Decoder,
  durationMs,
  ignored,
  int,
  listOf,
  mapOf,
  optional,
  struct,
  text,
} from './go-json.ts';
import type { JsonNode } from './go-json-parse.ts';
import { optionalConnect, optionalProxy, toServiceProxy } from './proxy-body.ts';

const checkFields = {
  Name: text,
  Notes: text,
  Token: text,
  Status: text,
  TTL: durationMs,
  HTTP: text,
  Method: text,
  Header: mapOf(listOf(text)),
  Body: text,
  TLSSkipVerify: bool,
  TLSServerName: text,
  TCP: text,
  UDP: text,
  GRPC: text,
  GRPCUseTLS: bool,
  H2PING: text,
  H2PingUseTLS: optional(bool),
  ScriptArgs: listOf(text),
  Args: listOf(text),
  DockerContainerID: text,
  Shell: text,
  AliasNode: text,
  AliasService: text,
  Interval: durationMs,
  Timeout: durationMs,
  SuccessBeforePassing: int,
  FailuresBeforeCritical: int,
  DeregisterCriticalServiceAfter: durationMs,
  OutputMaxSize: int,
};

const checkAliases = {
  tls_skip_verify: 'TLSSkipVerify',
  script_args: 'Args',
  docker_container_id: 'DockerContainerID',
  deregister_critical_service_after: 'DeregisterCriticalServiceAfter',
} as const;

/** `PUT /v1/agent/check/register`. */
const checkBody = struct(
  { ID: text, ServiceID: text, ...checkFields },
  { aliases: { ...checkAliases, service_id: 'ServiceID' }, isCustom: true },
);

/** `Check` and `Checks` of a service: the ID is spelled otherwise, and the service is known. */
const nestedCheckBody = struct(
  { CheckID: text, ServiceID: ignored, ...checkFields },
  { aliases: { ...checkAliases, service_id: 'ServiceID' }, isCustom: true },
);

const serviceFields = {
  Kind: text,
  ID: text,
  Name: text,
  Tags: listOf(text),
  Address: text,
  TaggedAddresses: mapOf(struct({ Address: text, Port: int })),
  Meta: mapOf(text),
  Port: int,
  Check: optional(nestedCheckBody),
  Checks: listOf(nestedCheckBody),
  Weights: optional(struct({ Passing: int, Warning: int })),
  Token: text,
  EnableTagOverride: bool,
  Proxy: optionalProxy,
  Connect: optionalConnect,
};

const serviceBody = struct(serviceFields, {
  aliases: { tagged_addresses: 'TaggedAddresses', enable_tag_override: 'EnableTagOverride' },
  isCustom: true,
});

export const checkDefinitionBody: Decoder<CheckDefinition> = mapped(checkBody, (body) =>
  toCheck(body, body.ID, body.ServiceID),
);

export const serviceDefinitionBody: Decoder<ServiceDefinition> = mapped(serviceBody, toService);

function mapped<A, B>(decoder: Decoder<A>, change: (value: A) => B): Decoder<B> {
  return {
    get zero() {
      return change(decoder.zero);
    },
    decode: (node, state, field) => change(decoder.decode(node, state, field)),
  };
}

function toService(body: Decoded<typeof serviceBody>): ServiceDefinition {
  const single = body.Check === undefined ? [] : [nestedCheck(body.Check)].filter((check) => !isBlank(check));
  return {
    id: body.ID,
    name: body.Name,
    tags: body.Tags ?? [],
    address: body.Address,
    port: body.Port,
    taggedAddresses: body.TaggedAddresses ?? {},
    meta: body.Meta ?? {},
    weights: body.Weights,
    enableTagOverride: body.EnableTagOverride,
    token: body.Token,
    kind: body.Kind,
    proxy: body.Proxy === undefined ? undefined : toServiceProxy(body.Proxy),
    connectNative: body.Connect?.Native ?? false,
    sidecar: sidecar(body.Connect?.SidecarService),
    checks: [...single, ...(body.Checks ?? []).map(nestedCheck)],
  };
}

function sidecar(node: JsonNode | undefined): ServiceDefinition | undefined {
  if (node === undefined || node === null) return undefined;
  return serviceDefinitionBody.decode(node, { failure: undefined }, '');
}

function nestedCheck(body: Decoded<typeof nestedCheckBody>): CheckDefinition {
  return toCheck(body, body.CheckID, '');
}

type CheckFields = { [K in keyof typeof checkFields]: Decoded<(typeof checkFields)[K]> };

function toCheck(body: CheckFields, id: string, serviceId: string): CheckDefinition {
  return {
    id,
    name: body.Name,
    notes: body.Notes,
    serviceId,
    token: body.Token,
    status: body.Status,
    scriptArgs: nonEmpty(body.ScriptArgs) ?? nonEmpty(body.Args) ?? [],
    http: body.HTTP,
    method: body.Method,
    header: withoutNull(body.Header),
    body: body.Body,
    tcp: body.TCP,
    udp: body.UDP,
    grpc: body.GRPC,
    grpcUseTls: body.GRPCUseTLS,
    h2ping: body.H2PING,
    h2pingUseTls: body.H2PingUseTLS ?? true,
    tlsSkipVerify: body.TLSSkipVerify,
    tlsServerName: body.TLSServerName,
    dockerContainerId: body.DockerContainerID,
    shell: body.Shell,
    aliasNode: body.AliasNode,
    aliasService: body.AliasService,
    ttlMs: body.TTL,
    intervalMs: body.Interval,
    timeoutMs: body.Timeout,
    deregisterCriticalServiceAfterMs: body.DeregisterCriticalServiceAfter,
    successBeforePassing: body.SuccessBeforePassing,
    failuresBeforeCritical: body.FailuresBeforeCritical,
    outputMaxSize: body.OutputMaxSize,
  };
}

/** Nothing was set: `Check: {}`, which Consul takes for no check. An empty entry of `Checks` is refused later. */
function isBlank(check: CheckDefinition): boolean {
  return JSON.stringify(check) === BLANK;
}

const BLANK = JSON.stringify(nestedCheck(nestedCheckBody.zero));

function nonEmpty(list: readonly string[] | null): readonly string[] | undefined {
  return list === null || list.length === 0 ? undefined : list;
}

function withoutNull(header: Record<string, string[] | null> | null): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(header ?? {}).map(([name, values]) => [name, values ?? []]));
}
