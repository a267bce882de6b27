/** The records of floating services and their indexes: who carries what. */

import type { FloatingPart, FloatingPlace, PlacedService } from '../../shared/types/floating.ts';
import { NOT_PLACED } from '../../shared/types/floating.ts';
import type { FloatingFence, HealthCheck, Service } from '../../shared/types/v1.ts';
import { compoundKey, keysUnder, nameKey } from './byte-text.ts';
import type { Change } from './change.ts';
import { Refusal } from './change.ts';
import { raiseTable, tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

/**
 * Invariants: `parts` is never empty and begins with the service itself; no service ID is in two records; while the
 * node is in the catalog it has an entry for every part.
 */
export interface FloatingRecord extends FloatingPlace {
  /** See `PlacedService.since`. */
  readonly since: number;
  /** Checks as they were registered; with their last status while the node is not in the catalog. */
  readonly parts: readonly FloatingPart[];
}

/** Takes the place of the record of the same ID. Wakes whoever carries it or did. */
export function storeFloating(change: Change, record: FloatingRecord): void {
  const before = change.tables.floating.get(nameKey(record.id));
  if (before !== undefined) removeFloating(change, before);
  indexFloating(change.tables, record);
  touch(change, record);
}

export function removeFloating(change: Change, record: FloatingRecord): void {
  const { tables } = change;
  const key = nameKey(record.id);
  tables.floating.delete(key);
  tables.floatingByNode.delete(compoundKey(nameKey(record.node), key));
  for (const { service, checks } of record.parts) {
    tables.floatingByService.delete(nameKey(service.ID));
    for (const { check } of checks) {
      const checkKey = nameKey(check.CheckID);
      if (tables.floatingByCheck.get(checkKey) === record) tables.floatingByCheck.delete(checkKey);
    }
  }
  touch(change, record);
}

/** Takes a service, or its sidecar alone, out of a placement. @returns IDs of what went */
export function withoutService(change: Change, record: FloatingRecord, serviceId: string): string[] {
  if (nameKey(record.id) === nameKey(serviceId)) {
    removeFloating(change, record);
    return record.parts.map(({ service }) => service.ID);
  }
  const parts = record.parts.filter(({ service }) => nameKey(service.ID) !== nameKey(serviceId));
  storeFloating(change, { ...record, generation: change.index, parts });
  return [serviceId];
}

/** Puts a record into the table and its indexes; nothing of that ID may be there. */
export function indexFloating(tables: Tables, record: FloatingRecord): void {
  const key = nameKey(record.id);
  tables.floating.set(key, record);
  tables.floatingByNode.set(compoundKey(nameKey(record.node), key), record);
  for (const { service, checks } of record.parts) {
    tables.floatingByService.set(nameKey(service.ID), record);
    for (const { check } of checks) tables.floatingByCheck.set(nameKey(check.CheckID), record);
  }
}

/** The placement that this catalog entry stands for; undefined when it is none's. */
export function placedHere(tables: Tables, nodeKey: string, serviceId: string): FloatingRecord | undefined {
  if (tables.floating.size === 0) return undefined;
  const record = tables.floatingByService.get(nameKey(serviceId));
  return record !== undefined && nameKey(record.node) === nodeKey ? record : undefined;
}

/** Whether a check of the catalog is part of a placement on its node. */
export function isPlacedCheck(tables: Tables, nodeKey: string, checkId: string): boolean {
  if (tables.floating.size === 0) return false;
  const check = tables.checks.get(compoundKey(nodeKey, nameKey(checkId)));
  const record = check === undefined ? undefined : placedHere(tables, nodeKey, check.ServiceID);
  const checks = record?.parts.flatMap((part) => part.checks) ?? [];
  return checks.some((known) => nameKey(known.check.CheckID) === nameKey(checkId));
}

/** @throws Refusal when the placement is gone, elsewhere, or has changed since */
export function requirePlaced(tables: Tables, node: string, { ServiceID, Generation }: FloatingFence): void {
  const record = placedHere(tables, nameKey(node), ServiceID);
  if (record?.generation === Generation) return;
  throw new Refusal(`${NOT_PLACED}: ${JSON.stringify(ServiceID)} on ${node} since ${Generation}`);
}

/** Everything that a node carries, ordered by service ID. */
export function floatingOn(tables: Tables, nodeKey: string): FloatingRecord[] {
  const found: FloatingRecord[] = [];
  if (tables.floating.size === 0) return found;
  const { from, to } = keysUnder(nodeKey);
  tables.floatingByNode.scan(from, to, (record) => {
    found.push(record);
    return true;
  });
  return found;
}

/** All placements. */
export function floatingPlaces(tables: Tables): Answer<FloatingPlace[]> {
  const value: FloatingPlace[] = [];
  tables.floating.scan('', undefined, (record) => {
    value.push(placeOf(record));
    return true;
  });
  return { ...answerOf(value), weightBytes: 100 * value.length };
}

/** Where the service with this ID, or the one with this check, is placed; null when it is not floating. */
export function floatingPlace(
  tables: Tables,
  kind: 'service' | 'check',
  id: string,
): Answer<FloatingPlace | null> {
  const index = kind === 'service' ? tables.floatingByService : tables.floatingByCheck;
  const record = index.get(nameKey(id));
  if (record === undefined) return answerOf(null);
  return answerOf(placeOf(record));
}

function placeOf({ id, node, generation }: FloatingRecord): FloatingPlace {
  return { id, node, generation };
}

/** What a node is to carry, ordered by service ID. */
export function placedOn(tables: Tables, node: string): Answer<FloatingPlace[]> {
  const value = floatingOn(tables, nameKey(node)).map(placeOf);
  return {
    value,
    indexOf: (now) => tableIndex(now, 'floating'),
    topics: [topic.floatingOn(node)],
    weightBytes: 100 * value.length,
  };
}

/** Those of the services that are placed on the node. Changes of statuses alone wake nobody. */
export function placedServices(
  tables: Tables,
  node: string,
  ids: readonly string[],
): Answer<PlacedService[]> {
  const value = ids.flatMap((id) => {
    const record = placedHere(tables, nameKey(node), id);
    return record === undefined ? [] : [placedService(tables, record)];
  });
  return {
    value,
    indexOf: (now) => tableIndex(now, 'floating'),
    topics: [topic.floatingOn(node)],
    unwatched: [topic.nodeChecks(node), topic.node(node)],
    weightBytes: 2000 * value.length,
  };
}

/** A record with the statuses, and tags where they may be overridden, that the catalog has now. */
export function placedService(tables: Tables, record: FloatingRecord): PlacedService {
  const { id, node, generation, since } = record;
  return { id, node, generation, since, parts: currentParts(tables, record) };
}

export function currentParts(tables: Tables, { node, parts }: FloatingRecord): FloatingPart[] {
  const nodeKey = nameKey(node);
  return parts.map((part) => ({
    ...part,
    service: withCurrentTags(tables, nodeKey, part.service),
    checks: part.checks.map(({ check, definition }) => ({
      check: withCurrentStatus(tables, nodeKey, check),
      definition,
    })),
  }));
}

function withCurrentTags(tables: Tables, nodeKey: string, service: Service): Service {
  const entry = tables.instances.get(compoundKey(nodeKey, nameKey(service.ID)))?.service;
  return entry !== undefined && service.EnableTagOverride ? { ...service, Tags: entry.Tags } : service;
}

function withCurrentStatus(tables: Tables, nodeKey: string, check: HealthCheck): HealthCheck {
  const entry = tables.checks.get(compoundKey(nodeKey, nameKey(check.CheckID)));
  if (entry === undefined || nameKey(entry.ServiceID) !== nameKey(check.ServiceID)) return check;
  return { ...check, Status: entry.Status, Output: entry.Output };
}

function answerOf<T>(value: T): Answer<T> {
  return { value, indexOf: (now) => tableIndex(now, 'floating'), topics: [topic.floating] };
}

function touch({ tables, watches, index }: Change, record: FloatingRecord): void {
  raiseTable(tables, 'floating', index);
  watches.touch(topic.floating);
  watches.touch(topic.floatingOn(record.node));
}
