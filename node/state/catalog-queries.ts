/** Reads of the catalog: nodes, service names, instances. Results are in Consul's wire form and order. */

import type { Node, Service, ServiceNode } from '../../shared/types/v1.ts';
import { keysUnder, nameKey } from './byte-text.ts';
import { instancesOn } from './instances.ts';
import type { OrderedMap } from './ordered-map.ts';
import type { InstanceRecord, NodeRecord } from './records.ts';
import { extinctionIndex, serviceIndex, tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer, Topic } from './types.ts';

export type NodeMeta = Readonly<Record<string, string>>;

/** 'connect': proxies and native instances for the service. 'ingress': gateways that expose it: there are none. */
export type ServiceKind = 'service' | 'connect' | 'ingress';

/** All nodes whose meta has the pairs, ordered by name. */
export function listNodes(tables: Tables, nodeMeta: NodeMeta): Answer<Node[]> {
  const value: Node[] = [];
  tables.nodes.scan('', undefined, ({ node }) => {
    if (hasMeta(node, nodeMeta)) value.push(node);
    return true;
  });
  return {
    value,
    indexOf: (now) => tableIndex(now, 'nodes'),
    topics: [topic.nodes],
    weightBytes: 8 * value.length,
  };
}

/** Service names with the union of their instances' tags; with pairs, of instances on nodes whose meta has them. */
export function listServices(tables: Tables, nodeMeta: NodeMeta): Answer<Record<string, string[]>> {
  const isRestricted = Object.keys(nodeMeta).length > 0;
  const names = isRestricted ? namesOnNodes(tables, nodeMeta) : allNames(tables);
  return {
    value: Object.fromEntries(names),
    indexOf: (now) => (isRestricted ? tableIndex(now, 'nodes', 'services') : tableIndex(now, 'services')),
    topics: isRestricted ? [topic.nodes, topic.services] : [topic.services],
    weightBytes: 200 * names.size,
  };
}

function allNames(tables: Tables): Map<string, string[]> {
  const names = new Map<string, string[]>();
  tables.serviceTags.scan('', undefined, ({ name, tag }) => {
    if (tag === undefined) names.set(name, []);
    else names.get(name)?.push(tag);
    return true;
  });
  return names;
}

function namesOnNodes(tables: Tables, nodeMeta: NodeMeta): Map<string, string[]> {
  const names = new Map<string, Set<string>>();
  tables.nodes.scan('', undefined, ({ key, node }) => {
    if (!hasMeta(node, nodeMeta)) return true;
    for (const { service } of instancesOn(tables, key)) {
      const tags = names.get(service.Service) ?? new Set();
      for (const tag of service.Tags ?? []) tags.add(tag);
      names.set(service.Service, tags);
    }
    return true;
  });
  return new Map([...names].map(([name, tags]) => [name, [...tags]]));
}

/** Instances of a service that have all tags, flat with their nodes, ordered by node and service ID. */
export function serviceNodes(
  tables: Tables,
  service: string,
  kind: ServiceKind,
  tags: readonly string[],
  nodeMeta: NodeMeta,
): Answer<ServiceNode[]> {
  const found = instancesOf(tables, service, kind, tags, nodeMeta);
  return {
    value: found.map(({ node, instance }) => flatService(node.node, instance.service)),
    indexOf: instancesIndex(service, kind, 'catalog'),
    topics: [kind === 'service' ? topic.service(service) : instancesTopic(service, kind)],
    weightBytes: 320 * found.length,
  };
}

export interface Instance {
  readonly node: NodeRecord;
  readonly instance: InstanceRecord;
}

/** The instances that a service query is about, ordered by node and service ID. Connect and ingress ignore tags. */
export function instancesOf(
  tables: Tables,
  service: string,
  kind: ServiceKind,
  tags: readonly string[],
  nodeMeta: NodeMeta,
): Instance[] {
  if (kind === 'ingress') return [];
  const table: OrderedMap<InstanceRecord> =
    kind === 'connect' ? tables.instancesByConnect : tables.instancesByName;
  const wanted = kind === 'service' ? tags.map((tag) => tag.toLowerCase()) : [];
  const found: Instance[] = [];
  const { from, to } = keysUnder(nameKey(service));
  table.scan(from, to, (instance) => {
    if (wanted.length > 0 && !hasTags(instance.service, wanted)) return true;
    const node = tables.nodes.get(instance.nodeKey);
    if (node === undefined) throw new Error('state: an instance without its node');
    if (hasMeta(node.node, nodeMeta)) found.push({ node, instance });
    return true;
  });
  return found;
}

/** Who is told about changes of the result of `instancesOf` with checks. */
export function instancesTopic(service: string, kind: ServiceKind): Topic {
  return kind === 'service' ? topic.serviceHealth(service) : topic.connect(service);
}

/**
 * The index of a service query: that of the service; without instances the last extinction of any service, and
 * before the first one, the tables that the query looks at.
 */
export function instancesIndex(
  service: string,
  kind: ServiceKind,
  view: 'catalog' | 'health',
): (tables: Tables) => number {
  // What stands behind a name in the mesh may belong to several services: the tables are a bound for all of them.
  if (kind !== 'service') return (now) => tableIndex(now, 'nodes', 'services', 'checks');
  return (now) =>
    serviceIndex(now, service) ??
    extinctionIndex(now) ??
    (view === 'catalog'
      ? tableIndex(now, 'nodes', 'services')
      : tableIndex(now, 'nodes', 'services', 'checks'));
}

/** A node with its services; null when it is unknown. */
export function nodeServices(tables: Tables, nameOrId: string): Answer<NodeWithServices | null> {
  const record = nodeByNameOrIdPrefix(tables, nameOrId);
  return {
    value:
      record === undefined
        ? null
        : { Node: record.node, Services: instancesOn(tables, record.key).map(({ service }) => service) },
    indexOf: (now) => tableIndex(now, 'nodes', 'services'),
    topics: nodeTopics(nameOrId, record),
    weightBytes: 512,
  };
}

export interface NodeWithServices {
  readonly Node: Node;
  readonly Services: Service[];
}

/** By name, else by a prefix of the node ID that fits only one. */
export function nodeByNameOrIdPrefix(tables: Tables, nameOrId: string): NodeRecord | undefined {
  const byName = tables.nodes.get(nameKey(nameOrId));
  if (byName !== undefined || !isIdPrefix(nameOrId)) return byName;
  const found: NodeRecord[] = [];
  tables.nodesById.scanPrefix(nameOrId.toLowerCase(), (record) => {
    found.push(record);
    return found.length < 2;
  });
  return found.length === 1 ? found[0] : undefined;
}

/** Any node may come to fit, or cease to be the only one that fits, a prefix of IDs. */
function nodeTopics(nameOrId: string, record: NodeRecord | undefined): Topic[] {
  const isByName = record !== undefined && record.key === nameKey(nameOrId);
  const topics = [topic.node(record?.node.Node ?? nameOrId)];
  if (record !== undefined && !isByName) topics.push(topic.node(nameOrId));
  if (!isByName && isIdPrefix(nameOrId)) topics.push(topic.nodes);
  return topics;
}

function isIdPrefix(text: string): boolean {
  return text.length >= 2 && text.length <= 36 && /^[0-9a-fA-F-]+$/.test(text);
}

export function hasMeta(node: Pick<Node, 'Meta'>, wanted: NodeMeta): boolean {
  for (const key in wanted) {
    if (node.Meta === null || !Object.hasOwn(node.Meta, key) || node.Meta[key] !== wanted[key]) return false;
  }
  return true;
}

function hasTags(service: Service, wantedLowerCase: readonly string[]): boolean {
  const tags = (service.Tags ?? []).map((tag) => tag.toLowerCase());
  return wantedLowerCase.every((tag) => tags.includes(tag));
}

function flatService(node: Node, service: Service): ServiceNode {
  return {
    ID: node.ID,
    Node: node.Node,
    Address: node.Address,
    Datacenter: node.Datacenter,
    TaggedAddresses: node.TaggedAddresses,
    NodeMeta: node.Meta,
    ServiceKind: service.Kind ?? '',
    ServiceID: service.ID,
    ServiceName: service.Service,
    ServiceTags: service.Tags ?? [],
    ServiceAddress: service.Address,
    ...(service.TaggedAddresses === undefined ? {} : { ServiceTaggedAddresses: service.TaggedAddresses }),
    ServiceWeights: service.Weights,
    ServiceMeta: service.Meta ?? {},
    ServicePort: service.Port,
    ServiceEnableTagOverride: service.EnableTagOverride,
    ServiceProxy: service.Proxy,
    ServiceConnect: service.Connect,
    CreateIndex: service.CreateIndex,
    ModifyIndex: service.ModifyIndex,
  };
}
