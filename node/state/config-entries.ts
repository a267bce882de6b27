/** Configuration entries: kept by kind and name, and given back as they came. */

import type { ConfigEntry, ConfigEntryDefinition } from '../../shared/types/config-entry.ts';
import { compoundKey, exactKey, keysUnder, nameKey } from './byte-text.ts';
import type { Change } from './change.ts';
import { ownData } from './interning.ts';
import { raiseTable, tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

/** @returns false when `ifModifyIndex` is given and is not the current one (0 means: none stored yet) */
export function setConfigEntry(
  change: Change,
  definition: ConfigEntryDefinition,
  ifModifyIndex: number | bigint | undefined,
): boolean {
  const { tables, index } = change;
  const existing = tables.configEntries.get(entryKey(definition.Kind, definition.Name));
  if (ifModifyIndex !== undefined && Number(ifModifyIndex) !== (existing?.ModifyIndex ?? 0)) return false;
  storeConfigEntry(tables, {
    ...ownData(definition),
    CreateIndex: existing?.CreateIndex ?? index,
    ModifyIndex: index,
  });
  touchEntries(change);
  return true;
}

/** Removes an entry if it is there. */
export function deleteConfigEntry(change: Change, kind: string, name: string): void {
  if (change.tables.configEntries.delete(entryKey(kind, name)) !== undefined) touchEntries(change);
}

export function storeConfigEntry(tables: Tables, entry: ConfigEntry): void {
  tables.configEntries.set(entryKey(entry.Kind, entry.Name), entry);
}

/** null when there is none. */
export function configEntry(tables: Tables, kind: string, name: string): Answer<ConfigEntry | null> {
  return entriesAnswer(tables.configEntries.get(entryKey(kind, name)) ?? null);
}

/** All entries of a kind, ordered by name. */
export function configEntriesOfKind(tables: Tables, kind: string): Answer<ConfigEntry[]> {
  const value: ConfigEntry[] = [];
  const { from, to } = keysUnder(exactKey(kind));
  tables.configEntries.scan(from, to, (entry) => {
    value.push(entry);
    return true;
  });
  return entriesAnswer(value);
}

function entriesAnswer<T>(value: T): Answer<T> {
  return { value, indexOf: (now) => tableIndex(now, 'config-entries'), topics: [topic.configEntries] };
}

function touchEntries({ tables, watches, index }: Change): void {
  raiseTable(tables, 'config-entries', index);
  watches.touch(topic.configEntries);
}

function entryKey(kind: string, name: string): string {
  return compoundKey(exactKey(kind), nameKey(name));
}
