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
  | 'config-entries';

/** When a service last lost its last instance. */
const EXTINCTION = 'extinction';

/** The highest index of reaped tombstones: below it, deletions under a prefix are no longer known one by one. */
const REAPED = 'reaped';

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

function serviceEntry(service: string): string {
  return `service.${nameKey(service)}`;
}
