/**
 * Which writes of whom were applied, so that a write that is sent again gets its first result instead of a second
 * effect (Ongaro's thesis on Raft, §6.3). Part of the replicated state: all bounds count in terms of the log alone.
 */

import { Packr } from 'msgpackr';
import type { RequestId } from '../../shared/request-id.ts';
import type { Tables } from './tables.ts';

/** The least recently used session makes room for another. */
export const MAX_WRITE_SESSIONS = 1024;
/** Unsettled writes per session that are remembered; beyond it the oldest is forgotten. */
export const MAX_REMEMBERED_WRITES = 4096;
/** Bytes of results per session; beyond it the oldest are forgotten. */
export const MAX_SESSION_BYTES = 256 * 1024;
/** A longer result is not kept, only that the write was applied. */
export const MAX_RESULT_BYTES = 64 * 1024;
/** A session without a write for as long, by the clocks of leaders, goes when the next one is opened. */
export const IDLE_MS = 3_600_000;

/** Invariant: `count` writes with `bytes` bytes of results are remembered, all of them with sequence numbers ≥ `floor`. */
export interface WriteSession {
  readonly id: string;
  /** Lower sequence numbers are settled or forgotten and are never applied (again). */
  readonly floor: number;
  readonly count: number;
  readonly bytes: number;
  /** Of the last write. */
  readonly index: number;
  readonly usedMs: number;
}

/** `result` is as `apply` returned it when that is a boolean or text, else packed; undefined: too large. */
export interface RememberedWrite {
  readonly result: boolean | string | Uint8Array | undefined;
  readonly bytes: number;
}

export type WriteMemory =
  | { readonly kind: 'new' }
  | { readonly kind: 'known'; readonly result: unknown }
  | { readonly kind: 'result-not-kept' }
  | { readonly kind: 'forgotten' }
  | { readonly kind: 'unknown-session' };

/** @param id 16 hex digits that no other session has */
export function openWriteSession(tables: Tables, id: string, index: number, nowMs: number): void {
  if (tables.writeSessions.get(id) !== undefined) return;
  for (const session of expendable(tables, nowMs)) forgetSession(tables, session);
  tables.writeSessions.set(id, { id, floor: 1, count: 0, bytes: 0, index, usedMs: nowMs });
}

export function recallWrite(tables: Tables, { session, sequence }: RequestId): WriteMemory {
  const record = tables.writeSessions.get(session);
  if (record === undefined) return { kind: 'unknown-session' };
  if (sequence < record.floor) return { kind: 'forgotten' };
  const found = tables.rememberedWrites.get(keyOf(session, sequence));
  if (found === undefined) return { kind: 'new' };
  if (found.result === undefined) return { kind: 'result-not-kept' };
  return { kind: 'known', result: unpacked(found.result) };
}

/** For a write that `recallWrite` called new. @param nowMs the proposer's clock */
export function rememberWrite(
  tables: Tables,
  { session, sequence, settledBelow }: RequestId,
  result: unknown,
  index: number,
  nowMs: number,
): void {
  const record = tables.writeSessions.get(session);
  if (record === undefined) return;
  const kept = packed(result);
  tables.rememberedWrites.set(keyOf(session, sequence), kept);
  const grown: WriteSession = {
    ...record,
    count: record.count + 1,
    bytes: record.bytes + kept.bytes,
    index,
    usedMs: Math.max(nowMs, record.usedMs),
  };
  tables.writeSessions.set(session, withinBounds(tables, grown, settledBelow));
}

/** After a user's snapshot: sessions belong to the running cluster, not to the data that was put back. */
export function keepWriteSessions(from: Tables, to: Tables): void {
  for (const [id] of [...to.writeSessions.entries()]) to.writeSessions.delete(id);
  for (const [key] of [...to.rememberedWrites.entries()]) to.rememberedWrites.delete(key);
  for (const [id, session] of from.writeSessions.entries()) to.writeSessions.set(id, session);
  for (const [key, write] of from.rememberedWrites.entries()) to.rememberedWrites.set(key, write);
}

/** Forgets what is settled, then what is too much, from the lowest sequence number on. */
function withinBounds(tables: Tables, session: WriteSession, settledBelow: number): WriteSession {
  let { floor, count, bytes } = session;
  const gone: string[] = [];
  floor = Math.max(floor, settledBelow);
  const firstKept = keyOf(session.id, floor);
  tables.rememberedWrites.scanPrefix(`${session.id}/`, (write, key) => {
    const isTooMuch = count > MAX_REMEMBERED_WRITES || bytes > MAX_SESSION_BYTES;
    if (key >= firstKept && !isTooMuch) return false;
    gone.push(key);
    count--;
    bytes -= write.bytes;
    floor = Math.max(floor, Number(key.slice(session.id.length + 1)) + 1);
    return true;
  });
  for (const key of gone) tables.rememberedWrites.delete(key);
  return { ...session, floor, count, bytes };
}

/** Idle sessions, and as many of the least recently used as leave room for one more. */
function expendable(tables: Tables, nowMs: number): readonly WriteSession[] {
  const sessions = [...tables.writeSessions.entries()].map(([, session]) => session);
  const oldestFirst = sessions.sort((a, b) => a.index - b.index);
  const surplus = Math.max(0, sessions.length - MAX_WRITE_SESSIONS + 1);
  return oldestFirst.filter(({ usedMs }, at) => at < surplus || nowMs - usedMs > IDLE_MS);
}

function forgetSession(tables: Tables, { id }: WriteSession): void {
  const keys: string[] = [];
  tables.rememberedWrites.scanPrefix(`${id}/`, (_, key) => {
    keys.push(key);
    return true;
  });
  for (const key of keys) tables.rememberedWrites.delete(key);
  tables.writeSessions.delete(id);
}

/** Ordered as the numbers are: they have at most 15 digits. */
function keyOf(session: string, sequence: number): string {
  return `${session}/${String(sequence).padStart(15, '0')}`;
}

/** Whole numbers come back as numbers while they are safe integers, as bigint above. The typings lack this value. */
const AUTO_INT64: object = { int64AsType: 'auto' };

const packr = new Packr({ useRecords: false, ...AUTO_INT64 });

function packed(result: unknown): RememberedWrite {
  if (typeof result === 'boolean') return { result, bytes: 1 };
  if (typeof result === 'string' && result.length <= MAX_RESULT_BYTES)
    return { result, bytes: result.length };
  // A copy: what the packer returns is part of a larger buffer.
  const bytes = Uint8Array.from(packr.pack(result));
  return bytes.length > MAX_RESULT_BYTES
    ? { result: undefined, bytes: 1 }
    : { result: bytes, bytes: bytes.length };
}

function unpacked(result: boolean | string | Uint8Array): unknown {
  return result instanceof Uint8Array ? packr.unpack(result) : result;
}
