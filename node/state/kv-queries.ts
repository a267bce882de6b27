/** Reads of the keys, and the index that each of them has. */

import type { KvEntry } from '../../shared/types/v1.ts';
import { byteText, fromByteText } from './byte-text.ts';
import { packedLength, packedToBase64 } from './packed-bytes.ts';
import type { KvRecord } from './records.ts';
import { reapedIndex, tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

/** The entry in a list of one; `[]` when the key is missing. */
export function keyEntry(tables: Tables, key: string): Answer<KvEntry[]> {
  const bytes = byteText(key);
  const record = tables.kv.get(bytes);
  return {
    value: record === undefined ? [] : [entryOf(record)],
    indexOf: (now) => now.kv.get(bytes)?.modifyIndex ?? tableIndex(now, 'kvs'),
    topics: [topic.kvKey(key)],
    weightBytes: record === undefined ? ENTRY_WEIGHT_BYTES : weightOf(record),
  };
}

/** All entries whose keys start with the prefix, ascending by bytes. */
export function entriesUnder(tables: Tables, prefix: string): Answer<KvEntry[]> {
  const value: KvEntry[] = [];
  let newest = 0;
  let weightBytes = ENTRY_WEIGHT_BYTES;
  tables.kv.scanPrefix(byteText(prefix), (record) => {
    value.push(entryOf(record));
    newest = Math.max(newest, record.modifyIndex);
    weightBytes += weightOf(record);
    return true;
  });
  return {
    value,
    indexOf: indexUnder(tables, prefix, newest),
    topics: [topic.kvTree(prefix)],
    weightBytes,
  };
}

/**
 * Keys that start with the prefix, ascending by bytes. With a separator each is cut after the first one beyond the
 * prefix, and what is then equal is listed once.
 */
export function keysStarting(tables: Tables, prefix: string, separator: string): Answer<string[]> {
  const value: string[] = [];
  let newest = 0;
  let weightBytes = ENTRY_WEIGHT_BYTES;
  const prefixBytes = byteText(prefix);
  const separatorBytes = byteText(separator);
  let last: string | undefined;
  tables.kv.scanPrefix(prefixBytes, (record, key) => {
    newest = Math.max(newest, record.modifyIndex);
    const end = separator === '' ? -1 : key.indexOf(separatorBytes, prefixBytes.length);
    const shown = end < 0 ? key : key.slice(0, end + separatorBytes.length);
    if (shown === last) return true;
    last = shown;
    value.push(end < 0 ? record.key : fromByteText(shown));
    weightBytes += end < 0 ? 8 : 24 + shown.length;
    return true;
  });
  return {
    value,
    indexOf: indexUnder(tables, prefix, newest),
    topics: [topic.kvTree(prefix)],
    weightBytes,
  };
}

/** The value of a key as bytes; undefined when it is missing. */
export function keyRecord(tables: Tables, key: string): KvRecord | undefined {
  return tables.kv.get(byteText(key));
}

/**
 * The newest change or known deletion under the prefix, and at least what was reaped, below which deletions are no
 * longer known. The table's index when there is nothing to go by, or when everything is under the prefix.
 */
function indexUnder(tables: Tables, prefix: string, newestEntry: number): (now: Tables) => number {
  if (prefix === '') return (now) => tableIndex(now, 'kvs');
  let newest = newestEntry;
  tables.tombstones.scanPrefix(byteText(prefix), (deletedAt) => {
    newest = Math.max(newest, deletedAt);
    return true;
  });
  if (newest === 0) return (now) => tableIndex(now, 'kvs');
  return (now) => Math.max(newest, reapedIndex(now));
}

/** The wire form of a record; its value is encoded anew each time. */
export function entryOf(record: KvRecord): KvEntry {
  return {
    LockIndex: record.lockIndex,
    Key: record.key,
    Flags: record.flags,
    Value: packedLength(record.value) === 0 ? null : packedToBase64(record.value),
    ...(record.session === '' ? {} : { Session: record.session }),
    CreateIndex: record.createIndex,
    ModifyIndex: record.modifyIndex,
  };
}

const ENTRY_WEIGHT_BYTES = 160;

function weightOf(record: KvRecord): number {
  return ENTRY_WEIGHT_BYTES + Math.ceil(packedLength(record.value) * 1.34);
}
