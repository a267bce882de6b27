/** Bodies of catalog registrations, in the shapes that the servers take. */

import { formatDurationNs } from '../../shared/durations.ts';
import type {
  CheckDefinition,
  DeregisterRequest,
  HealthCheck,
  RegisterRequest,
  Service,
  Weights,
} from '../../shared/types/v1.ts';
import { EMPTY_PROXY } from '../../shared/types/v1.ts';
import {
  anything,
  bool,
  type Decoded,
  durationAsNs,
  ignored,
  int,
  listOf,
  mapOf,
  optional,
  struct,
  text,
} from './go-json.ts';
import { optionalConnect, optionalProxy, toServiceProxy } from './proxy-body.ts';

const raftIndex = { CreateIndex: ignored, ModifyIndex: ignored };

const serviceBody = struct({
  Kind: text,
  ID: text,
  Service: text,
  Tags: listOf(text),
  Address: text,
  TaggedAddresses: mapOf(struct({ Address: text, Port: int })),
  Meta: mapOf(text),
  Port: int,
  Weights: optional(struct({ Passing: int, Warning: int })),
  EnableTagOverride: bool,
  Proxy: optionalProxy,
  Connect: optionalConnect,
  ...raftIndex,
});

const definitionBody = struct(
  {
    Interval: durationAsNs,
    OutputMaxSize: int,
    Timeout: durationAsNs,
    DeregisterCriticalServiceAfter: durationAsNs,
    HTTP: text,
    TLSSkipVerify: bool,
    Header: mapOf(listOf(text)),
    Method: text,
    Body: text,
    TCP: text,
    ScriptArgs: listOf(text),
    DockerContainerID: text,
    Shell: text,
    GRPC: text,
    GRPCUseTLS: bool,
    AliasNode: text,
    AliasService: text,
    TTL: durationAsNs,
  },
  { ignoreUnknown: true, isCustom: true },
);

const checkBody = struct({
  Node: text,
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  Output: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: listOf(text),
  Type: text,
  Definition: definitionBody,
  ...raftIndex,
});

export const registerBody = struct({
  Datacenter: text,
  ID: text,
  Node: text,
  Address: text,
  TaggedAddresses: mapOf(text),
  NodeMeta: mapOf(text),
  Service: optional(serviceBody),
  Check: optional(checkBody),
  Checks: listOf(optional(checkBody)),
  SkipNodeUpdate: bool,
  Token: text,
  ...raftIndex,
});

export const deregisterBody = struct({
  Datacenter: text,
  Node: text,
  Address: anything,
  ServiceID: text,
  CheckID: text,
  Token: text,
});

export function toRegisterRequest(body: Decoded<typeof registerBody>): RegisterRequest {
  return {
    Datacenter: body.Datacenter,
    ID: body.ID,
    Node: body.Node,
    Address: body.Address,
    TaggedAddresses: body.TaggedAddresses,
    NodeMeta: body.NodeMeta,
    Service: body.Service === undefined ? null : toService(body.Service),
    Check: body.Check === undefined ? null : toCheck(body.Check),
    Checks: body.Checks?.filter((check) => check !== undefined).map(toCheck) ?? null,
    SkipNodeUpdate: body.SkipNodeUpdate,
  };
}

export function toDeregisterRequest(body: Decoded<typeof deregisterBody>): DeregisterRequest {
  return {
    Datacenter: body.Datacenter,
    Node: body.Node,
    ServiceID: body.ServiceID,
    CheckID: body.CheckID,
  };
}

function toService(body: Decoded<typeof serviceBody>): Omit<Service, 'CreateIndex' | 'ModifyIndex'> {
  return {
    ...(body.Kind !== '' && { Kind: body.Kind }),
    ID: body.ID,
    Service: body.Service,
    Tags: body.Tags,
    Address: body.Address,
    ...(hasKeys(body.TaggedAddresses) && { TaggedAddresses: body.TaggedAddresses }),
    Meta: body.Meta,
    Port: body.Port,
    Weights: usableWeights(body.Weights),
    EnableTagOverride: body.EnableTagOverride,
    Proxy: body.Proxy === undefined ? EMPTY_PROXY : toServiceProxy(body.Proxy),
    Connect: body.Connect?.Native === true ? { Native: true } : {},
  };
}

/** The catalog does not refuse weights out of range, it falls back to the default. */
function usableWeights(weights: Weights | undefined): Weights {
  const isUsable =
    weights !== undefined &&
    weights.Passing >= 1 &&
    weights.Passing <= 65_535 &&
    weights.Warning >= 0 &&
    weights.Warning <= 65_535;
  return isUsable ? weights : { Passing: 1, Warning: 1 };
}

function toCheck(body: Decoded<typeof checkBody>): Omit<HealthCheck, 'CreateIndex' | 'ModifyIndex'> {
  return {
    Node: body.Node,
    CheckID: body.CheckID,
    Name: body.Name,
    Status: body.Status,
    Notes: body.Notes,
    Output: body.Output,
    ServiceID: body.ServiceID,
    ServiceName: body.ServiceName,
    ServiceTags: body.ServiceTags,
    Type: body.Type,
    Definition: toDefinition(body.Definition),
  };
}

function toDefinition(body: Decoded<typeof definitionBody>): CheckDefinition {
  return {
    ...durationEntry('Interval', body.Interval),
    ...(body.OutputMaxSize !== 0 && { OutputMaxSize: body.OutputMaxSize }),
    ...durationEntry('Timeout', body.Timeout),
    ...durationEntry('DeregisterCriticalServiceAfter', body.DeregisterCriticalServiceAfter),
    ...(body.HTTP !== '' && { HTTP: body.HTTP }),
    ...(body.TLSSkipVerify && { TLSSkipVerify: true }),
    ...(hasKeys(body.Header) && { Header: withoutNull(body.Header) }),
    ...(body.Method !== '' && { Method: body.Method }),
    ...(body.Body !== '' && { Body: body.Body }),
    ...(body.TCP !== '' && { TCP: body.TCP }),
    ...(body.ScriptArgs !== null && body.ScriptArgs.length > 0 && { ScriptArgs: body.ScriptArgs }),
    ...(body.DockerContainerID !== '' && { DockerContainerID: body.DockerContainerID }),
    ...(body.Shell !== '' && { Shell: body.Shell }),
    ...(body.GRPC !== '' && { GRPC: body.GRPC }),
    ...(body.GRPCUseTLS && { GRPCUseTLS: true }),
    ...(body.AliasNode !== '' && { AliasNode: body.AliasNode }),
    ...(body.AliasService !== '' && { AliasService: body.AliasService }),
    ...(body.TTL !== 0 && { TTL: body.TTL }),
  };
}

type DurationKey = 'Interval' | 'Timeout' | 'DeregisterCriticalServiceAfter';

function durationEntry(key: DurationKey, ns: number): Partial<Record<DurationKey, string>> {
  return ns === 0 ? {} : { [key]: formatDurationNs(ns) };
}

function hasKeys<T>(map: Record<string, T> | null): map is Record<string, T> {
  return map !== null && Object.keys(map).length > 0;
}

function withoutNull(header: Record<string, string[] | null>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(header).map(([name, values]) => [name, values ?? []]));
}
