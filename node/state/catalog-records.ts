/** Registrations as records: every field present, in wire order, in memory of its own. */

import type {
  CheckDefinition,
  HealthCheck,
  Node,
  RegisterRequest,
  Service,
  ServiceProxy,
  Weights,
} from '../../shared/types/v1.ts';
import { EMPTY_PROXY } from '../../shared/types/v1.ts';
import { own, ownData, ownMap } from './interning.ts';

export type ServiceRegistration = NonNullable<RegisterRequest['Service']>;
export type CheckRegistration = NonNullable<RegisterRequest['Check']>;

const DEFAULT_WEIGHTS: Weights = { Passing: 1, Warning: 1 };
const NO_TAGS: string[] = [];
const NOT_CONNECTED = {};
const NATIVE = { Native: true };
const NO_DEFINITION: CheckDefinition = {};

export interface Indexes {
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

export function nodeRecord(request: RegisterRequest, indexes: Indexes): Node {
  return {
    ID: own(request.ID ?? ''),
    Node: own(request.Node),
    Address: own(request.Address ?? ''),
    Datacenter: own(request.Datacenter ?? ''),
    TaggedAddresses: ownMap(request.TaggedAddresses),
    Meta: ownMap(request.NodeMeta),
    ...indexes,
  };
}

export function serviceRecord(service: ServiceRegistration, indexes: Indexes): Service {
  const taggedAddresses = ownMap(service.TaggedAddresses);
  const hasTaggedAddresses = taggedAddresses !== null && Object.keys(taggedAddresses).length > 0;
  return {
    ...(isFilled(service.Kind) ? { Kind: own(service.Kind) } : {}),
    ID: own(service.ID),
    Service: own(service.Service),
    Tags: isFilled(service.Tags) ? service.Tags.map(own) : NO_TAGS,
    Address: own(service.Address ?? ''),
    ...(hasTaggedAddresses ? { TaggedAddresses: taggedAddresses } : {}),
    Meta: ownMap(service.Meta),
    Port: service.Port ?? 0,
    Weights: weightsRecord(service.Weights),
    EnableTagOverride: service.EnableTagOverride ?? false,
    Proxy: proxyRecord(service.Proxy),
    Connect: service.Connect?.Native === true ? NATIVE : NOT_CONNECTED,
    ...indexes,
  };
}

export function checkRecord(
  check: CheckRegistration,
  service: Service | undefined,
  nodeName: string,
  indexes: Indexes,
): HealthCheck {
  const definition = check.Definition ?? NO_DEFINITION;
  return {
    Node: nodeName,
    CheckID: own(check.CheckID),
    Name: own(check.Name ?? ''),
    Status: own(isFilled(check.Status) ? check.Status : 'critical'),
    Notes: own(check.Notes ?? ''),
    Output: own(check.Output ?? ''),
    ServiceID: service === undefined ? '' : service.ID,
    ServiceName: service === undefined ? '' : service.Service,
    ServiceTags: service === undefined ? NO_TAGS : (service.Tags ?? NO_TAGS),
    Type: own(check.Type ?? ''),
    Definition: Object.keys(definition).length === 0 ? NO_DEFINITION : ownData(definition),
    ...indexes,
  };
}

/** Invalid weights are replaced without a word, as Consul does. */
function weightsRecord(weights: Weights | null | undefined): Weights {
  if (weights === null || weights === undefined) return DEFAULT_WEIGHTS;
  const passing = weights.Passing ?? 0;
  const warning = weights.Warning ?? 0;
  const isValid = passing >= 1 && passing <= 65535 && warning >= 0 && warning <= 65535;
  if (!isValid || (passing === 1 && warning === 1)) return DEFAULT_WEIGHTS;
  return { Passing: passing, Warning: warning };
}

function proxyRecord(proxy: ServiceProxy | null | undefined): ServiceProxy {
  if (proxy === null || proxy === undefined) return EMPTY_PROXY;
  const record: ServiceProxy = {
    ...(isFilled(proxy.DestinationServiceName)
      ? { DestinationServiceName: own(proxy.DestinationServiceName) }
      : {}),
    ...(isFilled(proxy.DestinationServiceID)
      ? { DestinationServiceID: own(proxy.DestinationServiceID) }
      : {}),
    ...(isFilled(proxy.LocalServiceAddress) ? { LocalServiceAddress: own(proxy.LocalServiceAddress) } : {}),
    ...(proxy.LocalServicePort ? { LocalServicePort: proxy.LocalServicePort } : {}),
    ...(proxy.Config === undefined || proxy.Config === null ? {} : { Config: ownData(proxy.Config) }),
    ...(isFilled(proxy.Upstreams) ? { Upstreams: ownData(proxy.Upstreams) } : {}),
    MeshGateway: ownData(proxy.MeshGateway ?? {}),
    Expose: ownData(proxy.Expose ?? {}),
  };
  const isEmpty =
    Object.keys(record).length === 2 &&
    Object.keys(record.MeshGateway).length === 0 &&
    Object.keys(record.Expose).length === 0;
  return isEmpty ? EMPTY_PROXY : record;
}

/** Present and not empty. */
function isFilled<T extends { readonly length: number }>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined && value.length > 0;
}

/** The service whose mesh traffic an instance takes; undefined when it takes none. */
export function connectName(service: Service): string | undefined {
  if (service.Kind === 'connect-proxy') return service.Proxy.DestinationServiceName;
  return service.Connect.Native === true ? service.Service : undefined;
}

/** A node read back from a snapshot. */
export function restoredNode(node: Node): Node {
  return nodeRecord(
    { ...node, NodeMeta: node.Meta, Service: null, Check: null, Checks: null, SkipNodeUpdate: false },
    indexesOf(node),
  );
}

export function restoredService(service: Service): Service {
  return serviceRecord(service, indexesOf(service));
}

export function restoredCheck(check: HealthCheck): HealthCheck {
  const isPlain = Object.keys(check.Definition).length === 0;
  return {
    ...ownData(check),
    ServiceTags: isFilled(check.ServiceTags) ? check.ServiceTags.map(own) : NO_TAGS,
    Definition: isPlain ? NO_DEFINITION : ownData(check.Definition),
  };
}

function indexesOf({ CreateIndex, ModifyIndex }: Indexes): Indexes {
  return { CreateIndex, ModifyIndex };
}
