/** Writes to the keys: sets, locks, deletions, each by Consul's rules for indexes and sessions. */

import type { Uint64 } from '../../shared/types/v1.ts';
import { byteText, compoundKey, fromByteText, keysUnder } from './byte-text.ts';
import type { Change } from './change.ts';
import { Refusal } from './change.ts';
import type { PackedBytes } from './packed-bytes.ts';
import { isSamePacked } from './packed-bytes.ts';
import type { KvRecord } from './records.ts';
import { raiseReaped, raiseTable } from './table-indexes.ts';
import type { Tables } from './tables.ts';

/** What a write brings; who holds the lock and all indexes come from the state. */
export interface KvWrite {
  readonly key: string;
  readonly value: PackedBytes;
  readonly flags: Uint64;
}

/** Sets a key. The lock's holder stays, but its LockIndex starts anew, as in Consul. An identical write is none. */
export function setKey(change: Change, write: KvWrite): true {
  const key = byteText(write.key);
  const existing = change.tables.kv.get(key);
  put(change, key, existing, write, existing?.session ?? '', 0);
  return true;
}

/** Sets a key if its ModifyIndex is the given one; 0: if it does not exist. */
export function setKeyIfUnchanged(change: Change, write: KvWrite, modifyIndex: number): boolean {
  const key = byteText(write.key);
  const existing = change.tables.kv.get(key);
  if ((existing?.modifyIndex ?? 0) !== modifyIndex) return false;
  put(change, key, existing, write, existing?.session ?? '', 0);
  return true;
}

/**
 * Sets a key and locks it for a session, unless another holds it or its lock delay is not over.
 *
 * @throws Refusal when the session is missing or unknown
 */
export function lockKey(change: Change, write: KvWrite, session: string): boolean {
  const { tables, nowMs } = change;
  const key = byteText(write.key);
  if (isLockDelayed(tables, key, nowMs)) return false;
  if (session === '') throw new Refusal('missing session');
  // Not findSession: it lives in sessions.ts, which needs this file to free locks.
  if (session.length !== UUID_LENGTH) {
    throw new Refusal('failed session lookup: index error: UUID must be 36 characters');
  }
  const holder = tables.sessions.get(session.toLowerCase());
  if (holder === undefined) throw new Refusal(`invalid session ${JSON.stringify(session)}`);
  const existing = tables.kv.get(key);
  if (existing === undefined) {
    put(change, key, existing, write, holder.ID, 1);
    return true;
  }
  if (existing.session !== holder.ID && existing.session !== '') return false;
  const lockIndex = existing.session === holder.ID ? existing.lockIndex : existing.lockIndex + 1;
  put(change, key, existing, write, holder.ID, lockIndex);
  return true;
}

/** Whether the key can't be locked yet because a session that held it has just ended. */
export function hasLockDelay(tables: Tables, key: string, nowMs: number): boolean {
  return isLockDelayed(tables, byteText(key), nowMs);
}

const UUID_LENGTH = 36;

/** Sets a key and frees it, if the session holds it. @throws Refusal when no session is given */
export function unlockKey(change: Change, write: KvWrite, session: string): boolean {
  if (session === '') throw new Refusal('missing session');
  const key = byteText(write.key);
  const existing = change.tables.kv.get(key);
  if (existing === undefined || existing.session !== session.toLowerCase()) return false;
  put(change, key, existing, write, '', existing.lockIndex);
  return true;
}

/** The session that held the key is gone. */
export function releaseKey(change: Change, record: KvRecord): void {
  put(change, byteText(record.key), record, record, '', record.lockIndex);
}

export function deleteKey(change: Change, key: string): true {
  const bytes = byteText(key);
  const existing = change.tables.kv.get(bytes);
  if (existing !== undefined) {
    remove(change, bytes, existing);
    entomb(change, bytes);
  }
  return true;
}

/** @returns false when the key has another ModifyIndex; a missing key counts as deleted */
export function deleteKeyIfUnchanged(change: Change, key: string, modifyIndex: number): boolean {
  const existing = change.tables.kv.get(byteText(key));
  if (existing !== undefined && existing.modifyIndex !== modifyIndex) return false;
  return deleteKey(change, key);
}

/** Deletes all keys that start with the prefix, '' for all there are. */
export function deleteTree(change: Change, prefix: string): true {
  const { tables } = change;
  const bytes = byteText(prefix);
  const doomed: [string, KvRecord][] = [];
  tables.kv.scanPrefix(bytes, (record, key) => {
    doomed.push([key, record]);
    return true;
  });
  if (doomed.length === 0) return true;
  for (const [key, record] of doomed) remove(change, key, record);
  // One tombstone covers the whole tree. Older ones below it must go: a list that finds one of them, and nothing
  // else, would take its index and go backwards; a list that finds nothing takes the table's.
  const covered: string[] = [];
  tables.tombstones.scanPrefix(bytes, (_, key) => {
    covered.push(key);
    return true;
  });
  for (const key of covered) unearth(change, key);
  if (prefix !== '') entomb(change, bytes);
  return true;
}

/** All keys that a session holds, ascending. */
export function lockedKeys(tables: Tables, session: string): KvRecord[] {
  const found: KvRecord[] = [];
  const { from, to } = keysUnder(session.toLowerCase());
  tables.kvBySession.scan(from, to, (record) => {
    found.push(record);
    return true;
  });
  return found;
}

export function delayLock({ tables, nowMs }: Change, key: string, delayMs: number): void {
  tables.lockDelays.set(byteText(key), { untilMs: nowMs + delayMs });
}

/** No lock delay is longer, so one that seems to be says that the clock was set back; then it doesn't count. */
const LONGEST_LOCK_DELAY_MS = 60_000;

function isLockDelayed(tables: Tables, key: string, nowMs: number): boolean {
  const delay = tables.lockDelays.get(key);
  if (delay === undefined) return false;
  const leftMs = delay.untilMs - nowMs;
  return leftMs > 0 && leftMs <= LONGEST_LOCK_DELAY_MS;
}

/** Forgets deletions up to an index and lock delays that are over. */
export function reapTombstones(change: Change, upToIndex: number): void {
  const { tables, nowMs } = change;
  const old: string[] = [];
  let newest = 0;
  tables.tombstones.scan('', undefined, (deletedAt, key) => {
    if (deletedAt > upToIndex) return true;
    old.push(key);
    newest = Math.max(newest, deletedAt);
    return true;
  });
  for (const key of old) unearth(change, key);
  if (old.length > 0) raiseReaped(tables, newest);
  const over: string[] = [];
  tables.lockDelays.scan('', undefined, ({ untilMs }, key) => {
    if (untilMs <= nowMs || untilMs - nowMs > LONGEST_LOCK_DELAY_MS) over.push(key);
    return true;
  });
  for (const key of over) tables.lockDelays.delete(key);
}

/** Puts a record into its table and index. */
export function storeKey(tables: Tables, key: string, record: KvRecord): void {
  tables.kv.set(key, record);
  if (record.session !== '') tables.kvBySession.set(compoundKey(record.session, key), record);
}

function put(
  change: Change,
  key: string,
  existing: KvRecord | undefined,
  write: KvWrite,
  session: string,
  lockIndex: number,
): void {
  const { tables, watches, index } = change;
  if (existing !== undefined && isSameWrite(existing, write, session, lockIndex)) return;
  if (existing !== undefined && existing.session !== '' && existing.session !== session) {
    tables.kvBySession.delete(compoundKey(existing.session, key));
  }
  storeKey(tables, key, {
    key: existing?.key ?? fromByteText(key),
    value: write.value,
    flags: write.flags,
    lockIndex,
    session,
    createIndex: existing?.createIndex ?? index,
    modifyIndex: index,
  });
  raiseTable(tables, 'kvs', index);
  watches.touchKey(key);
}

function isSameWrite(existing: KvRecord, write: KvWrite, session: string, lockIndex: number): boolean {
  return (
    existing.lockIndex === lockIndex &&
    existing.session === session &&
    existing.flags === write.flags &&
    isSamePacked(existing.value, write.value)
  );
}

function remove({ tables, watches, index }: Change, key: string, record: KvRecord): void {
  tables.kv.delete(key);
  if (record.session !== '') tables.kvBySession.delete(compoundKey(record.session, key));
  raiseTable(tables, 'kvs', index);
  watches.touchKey(key);
}

/** The index of a list is a function of the state: an answer kept from before must not differ from a new one. */
function unearth({ tables, watches }: Change, key: string): void {
  tables.tombstones.delete(key);
  watches.forgetKey(key);
}

function entomb({ tables, index }: Change, key: string): void {
  tables.tombstones.set(key, index);
}
