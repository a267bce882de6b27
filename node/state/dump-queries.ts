/** Reads of the whole catalog at once, and of who has an address. */

import { checkAsStored, serviceAsStored } from '../../shared/types/as-stored.ts';
import type { NodeInfo, ServiceSummary } from '../../shared/types/ui.ts';
import type { HealthCheck, HealthEntry } from '../../shared/types/v1.ts';
import { nameKey } from './byte-text.ts';
import { checksOn } from './checks.ts';
import { joinedChecks } from './health-queries.ts';
import { instancesOn } from './instances.ts';
import type { NodeRecord } from './records.ts';
import { tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer, Topic } from './types.ts';

/** Every instance with node and checks, those of the node first; ordered by node and service ID. */
export function serviceDump(tables: Tables): Answer<HealthEntry[]> {
  const value: HealthEntry[] = [];
  tables.instances.scan('', undefined, ({ nodeKey, service, checks }) => {
    const node = tables.nodes.get(nodeKey);
    if (node === undefined) throw new Error('state: an instance without its node');
    value.push({ Node: node.node, Service: service, Checks: joinedChecks(node.checks, checks) });
    return true;
  });
  return dumpAnswer(value, [topic.nodes, topic.services, topic.checksInState('any')], 120 * value.length);
}

/** Every node with its services and checks, ordered by name. */
export function nodeDump(tables: Tables): Answer<NodeInfo[]> {
  const value: NodeInfo[] = [];
  tables.nodes.scan('', undefined, (record) => {
    value.push(nodeInfoOf(tables, record));
    return true;
  });
  return dumpAnswer(value, [topic.nodes, topic.services, topic.checksInState('any')], 320 * value.length);
}

/** One node, by name, in a list; `[]` when it is unknown. */
export function nodeInfo(tables: Tables, node: string): Answer<NodeInfo[]> {
  const record = tables.nodes.get(nameKey(node));
  const value = record === undefined ? [] : [nodeInfoOf(tables, record)];
  return dumpAnswer(value, [topic.node(node), topic.nodeChecks(node)], 512);
}

function nodeInfoOf(tables: Tables, { key, node }: NodeRecord): NodeInfo {
  return {
    ID: node.ID,
    Node: node.Node,
    Address: node.Address,
    TaggedAddresses: node.TaggedAddresses,
    Meta: node.Meta,
    Services: instancesOn(tables, key).map(({ service }) => serviceAsStored(service)),
    Checks: checksOn(tables, key).map(checkAsStored),
  };
}

function dumpAnswer<T>(value: T, topics: readonly Topic[], weightBytes: number): Answer<T> {
  return { value, indexOf: (now) => tableIndex(now, 'nodes', 'services', 'checks'), topics, weightBytes };
}

/** Sums up instances by service name, ordered by name. */
export function summarizeServices(entries: readonly HealthEntry[]): ServiceSummary[] {
  const byName = new Map<string, HealthEntry[]>();
  for (const entry of entries) {
    const known = byName.get(entry.Service.Service);
    if (known === undefined) byName.set(entry.Service.Service, [entry]);
    else known.push(entry);
  }
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, instances]) => summaryOf(name, instances));
}

const EXTERNAL_SOURCE = 'external-source';

function summaryOf(name: string, instances: readonly HealthEntry[]): ServiceSummary {
  const services = instances.map((instance) => instance.Service);
  const kind = services.at(-1)?.Kind;
  const tags = new Set(services.flatMap((service) => service.Tags ?? []));
  const proxies = services.filter((service) => service.Kind === 'connect-proxy');
  const sources = new Set(services.flatMap((service) => service.Meta?.[EXTERNAL_SOURCE] || []));
  const checks = instances.flatMap((instance) => instance.Checks);
  return {
    ...(kind === undefined ? {} : { Kind: kind }),
    Name: name,
    Tags: tags.size === 0 ? null : [...tags].sort(),
    Nodes: instances.map((instance) => instance.Node.Node).sort(),
    InstanceCount: instances.length,
    ...(proxies.length === 0
      ? {}
      : { ProxyFor: proxies.map(({ Proxy: proxy }) => proxy.DestinationServiceName ?? '') }),
    ChecksPassing: countOf(checks, 'passing'),
    ChecksWarning: countOf(checks, 'warning'),
    ChecksCritical: countOf(checks, 'critical'),
    ExternalSources: sources.size === 0 ? null : [...sources],
    GatewayConfig: {},
  };
}

function countOf(checks: readonly HealthCheck[], status: string): number {
  return checks.filter((check) => check.Status === status).length;
}

/**
 * The name of the first instance, by node and service ID, that has exactly this address; '' when there is none. The
 * index behind it is built when it is first asked for after a change of any service.
 */
export function serviceAtAddress(tables: Tables, address: string): Answer<string> {
  return {
    value: address === '' ? '' : (namesByAddress(tables).get(address) ?? ''),
    indexOf: (now) => tableIndex(now, 'services'),
    topics: [topic.services],
  };
}

interface AddressIndex {
  /** Of the table `services`, which rises with every change of an instance. */
  readonly index: number;
  readonly names: ReadonlyMap<string, string>;
}

const addressIndexes = new WeakMap<Tables, AddressIndex>();

function namesByAddress(tables: Tables): ReadonlyMap<string, string> {
  const index = tableIndex(tables, 'services');
  const known = addressIndexes.get(tables);
  if (known?.index === index) return known.names;
  const names = new Map<string, string>();
  tables.instances.scan('', undefined, ({ service }) => {
    const { Address: address } = service;
    if (address !== '' && !names.has(address)) names.set(address, service.Service);
    return true;
  });
  addressIndexes.set(tables, { index, names });
  return names;
}
