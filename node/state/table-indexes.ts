/** The index of last change per table and per service: what `X-Consul-Index` is made of. */

import { nameKey } from './byte-text.ts';
import type { Tables } from './tables.ts';

export type TableName =
  | 'nodes'
  | 'services'
  | 'checks'
  | 'kvs'
  | 'sessions'
  | 'coordinates'
  | 'prepared-queries'
  | 'config-entries'
  | 'floating';

/** When a service last lost its last instance. */
const EXTINCTION = 'extinction';

/** The highest index of reaped tombstones: below it, deletions under a prefix are no longer known one by one. */
const REAPED = 'reaped';

/** The index at which the state was last replaced by a restored snapshot: no answer has a lower one. */
const RESTORED = 'restored';

/** How far this cluster's change indexes are ahead of its log, since it took over a snapshot with higher ones. */
const OFFSET = 'offset';

/** The newest change of any of the tables, ≥ 1. */
export function tableIndex(tables: Tables, ...names: readonly TableName[]): number {
  let highest = 1;
  for (const name of names) highest = Math.max(highest, tables.indexes.get(name) ?? 0);
  return highest;
}

export function raiseTable(tables: Tables, name: TableName, index: number): void {
  tables.indexes.set(name, index);
}

/** The newest change of a service; undefined while it has no instances. */
export function serviceIndex(tables: Tables, service: string): number | undefined {
  return tables.indexes.get(serviceEntry(service));
}

export function raiseService(tables: Tables, service: string, index: number): void {
  tables.indexes.set(serviceEntry(service), index);
}

export function markExtinct(tables: Tables, service: string, index: number): void {
  tables.indexes.delete(serviceEntry(service));
  tables.indexes.set(EXTINCTION, index);
}

export function extinctionIndex(tables: Tables): number | undefined {
  return tables.indexes.get(EXTINCTION);
}

export function reapedIndex(tables: Tables): number {
  return tables.indexes.get(REAPED) ?? 0;
}

export function raiseReaped(tables: Tables, index: number): void {
  tables.indexes.set(REAPED, Math.max(index, reapedIndex(tables)));
}

/** 0 when no snapshot was restored. */
export function restoredIndex(tables: Tables): number {
  return tables.indexes.get(RESTORED) ?? 0;
}

/** ≥ 0. */
export function indexOffset(tables: Tables): number {
  return tables.indexes.get(OFFSET) ?? 0;
}

export function markRestored(tables: Tables, index: number, offset: number): void {
  tables.indexes.set(RESTORED, index);
  tables.indexes.set(OFFSET, offset);
}

/** The highest index of any change that the tables know of, ≥ 0. */
export function highestIndex(tables: Tables): number {
  let highest = 0;
  for (const [name, index] of tables.indexes.entries())
    if (name !== OFFSET) highest = Math.max(highest, index);
  return highest;
}

function serviceEntry(service: string): string {
  return `service.${nameKey(service)}`;
}
