/** Storing and removing service instances with all their indexes; tells those who watch them. */

import type { Service } from '../../shared/types/v1.ts';
import { compoundKey, exactKey, keysUnder, nameKey } from './byte-text.ts';
import { connectName } from './catalog-records.ts';
import type { Change } from './change.ts';
import type { InstanceRecord } from './records.ts';
import { markExtinct, raiseService, raiseTable } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';

/** Replaces the record of an instance, its service as well as its checks. Raises no index and wakes nobody. */
export function replaceInstance(tables: Tables, instance: InstanceRecord): void {
  const { nodeKey, service } = instance;
  const id = nameKey(service.ID);
  tables.instances.set(compoundKey(nodeKey, id), instance);
  tables.instancesByName.set(compoundKey(nameKey(service.Service), nodeKey, id), instance);
  const connect = connectName(service);
  if (connect !== undefined) {
    tables.instancesByConnect.set(compoundKey(nameKey(connect), nodeKey, id), instance);
  }
}

/** Adds or changes an instance: `existing` is the record that it replaces. */
export function storeInstance(
  change: Change,
  instance: InstanceRecord,
  existing: InstanceRecord | undefined,
  nodeName: string,
): void {
  const { tables, index } = change;
  if (existing !== undefined) unindex(tables, existing);
  replaceInstance(tables, instance);
  countTags(tables, instance.service, 1);
  raiseTable(tables, 'services', index);
  raiseService(tables, instance.service.Service, index);
  if (existing !== undefined && !isSameName(existing.service, instance.service)) {
    leaveName(change, existing.service);
  }
  if (existing !== undefined) touchInstance(change, existing.service);
  touchInstance(change, instance.service);
  touchServices(change, nodeName);
}

export function removeInstance(change: Change, instance: InstanceRecord, nodeName: string): void {
  const { tables, index } = change;
  unindex(tables, instance);
  tables.instances.delete(compoundKey(instance.nodeKey, nameKey(instance.service.ID)));
  raiseTable(tables, 'services', index);
  leaveName(change, instance.service);
  touchInstance(change, instance.service);
  touchServices(change, nodeName);
}

/** An instance's record or that of its node has changed. */
export function touchInstance(change: Change, service: Service): void {
  change.watches.touch(topic.service(service.Service));
  touchHealth(change, service);
}

/** A check that counts for the instance has changed. */
export function touchHealth(change: Change, service: Service): void {
  change.watches.touch(topic.serviceHealth(service.Service));
  const connect = connectName(service);
  if (connect !== undefined) change.watches.touch(topic.connect(connect));
}

/** All instances on a node, ordered by service ID. */
export function instancesOn(tables: Tables, nodeKey: string): InstanceRecord[] {
  const found: InstanceRecord[] = [];
  const { from, to } = keysUnder(nodeKey);
  tables.instances.scan(from, to, (instance) => {
    found.push(instance);
    return true;
  });
  return found;
}

function touchServices(change: Change, nodeName: string): void {
  change.watches.touch(topic.services);
  change.watches.touch(topic.node(nodeName));
}

/** The name has lost an instance: perhaps its last. */
function leaveName(change: Change, service: Service): void {
  const { tables, index } = change;
  if (hasInstances(tables, service.Service)) raiseService(tables, service.Service, index);
  else markExtinct(tables, service.Service, index);
}

function hasInstances(tables: Tables, serviceName: string): boolean {
  let hasAny = false;
  const { from, to } = keysUnder(nameKey(serviceName));
  tables.instancesByName.scan(from, to, () => {
    hasAny = true;
    return false;
  });
  return hasAny;
}

function unindex(tables: Tables, { nodeKey, service }: InstanceRecord): void {
  const id = nameKey(service.ID);
  tables.instancesByName.delete(compoundKey(nameKey(service.Service), nodeKey, id));
  const connect = connectName(service);
  if (connect !== undefined) tables.instancesByConnect.delete(compoundKey(nameKey(connect), nodeKey, id));
  countTags(tables, service, -1);
}

function isSameName(a: Service, b: Service): boolean {
  return nameKey(a.Service) === nameKey(b.Service);
}

/** Keeps, per service name and tag, how many instances have it. */
export function countTags(tables: Tables, service: Service, by: 1 | -1): void {
  const name = service.Service;
  count(tables, exactKey(name), name, undefined, by);
  for (const tag of new Set(service.Tags)) {
    count(tables, compoundKey(exactKey(name), exactKey(tag)), name, tag, by);
  }
}

function count(tables: Tables, key: string, name: string, tag: string | undefined, by: 1 | -1): void {
  const total = (tables.serviceTags.get(key)?.count ?? 0) + by;
  if (total > 0) tables.serviceTags.set(key, { name, tag, count: total });
  else tables.serviceTags.delete(key);
}
