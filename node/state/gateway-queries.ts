/** Which services gateways expose, by their configuration entries. */

import type { ConfigEntry, GatewayService } from '../../shared/types/config-entry.ts';
import type { HealthEntry } from '../../shared/types/v1.ts';
import { configEntry } from './config-entries.ts';
import { serviceHealth } from './health-queries.ts';
import { tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

const WILDCARD = '*';
const SERVERS = 'consul';

/** Ordered by service name; null when there are none. */
export function gatewayServices(tables: Tables, gateway: string): Answer<GatewayService[] | null> {
  const found = servicesOf(tables, gateway);
  return {
    value: found.length === 0 ? null : found,
    indexOf: (now) => tableIndex(now, 'config-entries', 'services'),
    topics: [topic.configEntries, topic.services],
  };
}

/** Instances of the services that a gateway exposes. */
export function gatewayInstances(tables: Tables, gateway: string): Answer<HealthEntry[]> {
  const names = new Set(servicesOf(tables, gateway).map(({ Service: { Name: name } }) => name));
  return {
    value: [...names].flatMap((name) => serviceHealth(tables, name, 'service', [], {}).value),
    indexOf: (now) => tableIndex(now, 'nodes', 'services', 'checks', 'config-entries'),
    topics: [topic.configEntries, topic.nodes, topic.services, topic.checksInState('any')],
  };
}

function servicesOf(tables: Tables, gateway: string): GatewayService[] {
  const listed: GatewayService[] = [];
  const ingress = configEntry(tables, 'ingress-gateway', gateway).value;
  for (const listener of objectsIn(ingress, 'Listeners')) {
    for (const service of objectsIn(listener, 'Services')) {
      const { Port, Protocol } = listener;
      listed.push({
        ...headOf(ingress, service),
        ...(typeof Port === 'number' ? { Port } : {}),
        ...(typeof Protocol === 'string' ? { Protocol } : {}),
        ...(isTextList(service.Hosts) ? { Hosts: service.Hosts } : {}),
        ...indexesOf(ingress),
      });
    }
  }
  const terminating = configEntry(tables, 'terminating-gateway', gateway).value;
  for (const service of objectsIn(terminating, 'Services')) {
    listed.push({
      ...headOf(terminating, service),
      ...textsOf(service, ['CAFile', 'CertFile', 'KeyFile', 'SNI']),
      ...indexesOf(terminating),
    });
  }
  return listed
    .flatMap((entry) => (entry.Service.Name === WILDCARD ? expanded(tables, entry, listed) : [entry]))
    .sort((a, b) => (a.Service.Name < b.Service.Name ? -1 : a.Service.Name > b.Service.Name ? 1 : 0));
}

/** Every service of the catalog that is not listed by name; the servers themselves are behind no gateway. */
function expanded(
  tables: Tables,
  wildcard: GatewayService,
  listed: readonly GatewayService[],
): GatewayService[] {
  const byName = new Set(listed.map(({ Service: { Name: name } }) => name));
  const { CreateIndex, ModifyIndex, ...rest } = wildcard;
  const found: GatewayService[] = [];
  tables.serviceTags.scan('', undefined, ({ name, tag }) => {
    if (tag !== undefined || byName.has(name) || name === SERVERS) return true;
    found.push({ ...rest, Service: { Name: name }, FromWildcard: true, CreateIndex, ModifyIndex });
    return true;
  });
  return found;
}

type Fields = Readonly<Record<string, unknown>>;

function headOf(
  entry: ConfigEntry | null,
  service: Fields,
): Pick<GatewayService, 'Gateway' | 'Service' | 'GatewayKind'> {
  const name = typeof service.Name === 'string' ? service.Name : '';
  return { Gateway: { Name: entry?.Name ?? '' }, Service: { Name: name }, GatewayKind: entry?.Kind ?? '' };
}

function indexesOf(entry: ConfigEntry | null): Pick<GatewayService, 'CreateIndex' | 'ModifyIndex'> {
  return { CreateIndex: entry?.CreateIndex ?? 0, ModifyIndex: entry?.ModifyIndex ?? 0 };
}

function textsOf<K extends string>(fields: Fields, keys: readonly K[]): Partial<Record<K, string>> {
  const texts: Partial<Record<K, string>> = {};
  for (const key of keys) {
    const value = fields[key];
    if (typeof value === 'string' && value !== '') texts[key] = value;
  }
  return texts;
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
}

function objectsIn(fields: Fields | null, key: string): Fields[] {
  const value = fields?.[key];
  return Array.isArray(value)
    ? value.filter((item): item is Fields => typeof item === 'object' && item !== null)
    : [];
}
