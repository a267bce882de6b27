/** Turns definitions into the objects that the agent and the catalog hold, with every default filled in. */

import { createHash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import type { CheckDefinition, ServiceDefinition } from '../../../shared/types/definitions.ts';
import {
  EMPTY_PROXY,
  type HealthCheck,
  type Service,
  type ServiceAddress,
} from '../../../shared/types/v1.ts';
import { checkKind } from '../checks/check-kind.ts';

/** The definition's ID, which defaults to the name. */
export function serviceIdOf(definition: ServiceDefinition): string {
  return definition.id === '' ? definition.name : definition.id;
}

/** The service in catalog form, indexes 0, keys in the declared order. */
export function toService(definition: ServiceDefinition): Service {
  const tagged = taggedAddresses(definition);
  return {
    ...(definition.kind !== '' && { Kind: definition.kind }),
    ID: serviceIdOf(definition),
    Service: definition.name,
    Tags: [...definition.tags],
    Address: definition.address,
    ...(Object.keys(tagged).length > 0 && { TaggedAddresses: tagged }),
    Meta: Object.keys(definition.meta).length > 0 ? sortedByKey(definition.meta) : null,
    Port: definition.port,
    Weights: definition.weights ?? { Passing: 1, Warning: 1 },
    EnableTagOverride: definition.enableTagOverride,
    Proxy: definition.proxy ?? EMPTY_PROXY,
    Connect: definition.connectNative ? { Native: true } : {},
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

export interface BuiltCheck {
  readonly check: HealthCheck;
  readonly definition: CheckDefinition;
}

/** The checks of a service definition with their default IDs, names and status. */
export function toServiceChecks(
  definition: ServiceDefinition,
  service: Service,
  nodeName: string,
): BuiltCheck[] {
  return definition.checks.map((check, at) => {
    const numbered = definition.checks.length > 1 ? `:${at + 1}` : '';
    const withDefaults = {
      ...check,
      id: check.id === '' ? `service:${service.ID}${numbered}` : check.id,
      name: check.name === '' ? `Service '${service.Service}' check` : check.name,
      serviceId: service.ID,
      token: check.token === '' ? definition.token : check.token,
    };
    return { check: toCheck(withDefaults, nodeName, service), definition: withDefaults };
  });
}

/** A check that was defined on its own: its ID defaults to the name. */
export function toOwnCheck(
  definition: CheckDefinition,
  nodeName: string,
  service: Service | undefined,
): BuiltCheck {
  const withDefaults = { ...definition, id: definition.id === '' ? definition.name : definition.id };
  return { check: toCheck(withDefaults, nodeName, service), definition: withDefaults };
}

/** File name of a persisted item. */
export function fileNameOf(id: string): string {
  return createHash('md5').update(id).digest('hex');
}

function toCheck(definition: CheckDefinition, nodeName: string, service: Service | undefined): HealthCheck {
  return {
    Node: nodeName,
    CheckID: definition.id,
    Name: definition.name,
    Status: definition.status === '' ? 'critical' : definition.status,
    Notes: definition.notes,
    Output: '',
    ServiceID: service?.ID ?? '',
    ServiceName: service?.Service ?? '',
    ServiceTags: service?.Tags ?? [],
    Type: checkKind(definition) ?? '',
    Definition: {},
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

/** The given ones, plus those that an address that is an IP implies. */
function taggedAddresses(definition: ServiceDefinition): Record<string, ServiceAddress> {
  const { address, port } = definition;
  const implied: Record<string, ServiceAddress> = {};
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined;
  if (family !== undefined)
    for (const network of ['lan', 'wan']) implied[`${network}_${family}`] = { Address: address, Port: port };
  return sortedByKey({ ...implied, ...definition.taggedAddresses });
}

/** Consul prints maps in the order of their keys. */
function sortedByKey<Value>(map: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
