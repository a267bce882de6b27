/** Transactions: operations on keys and the catalog that take effect together or not at all. */

import type { TxnError, TxnKvOp, TxnOp, TxnOutcome, TxnResult } from '../../shared/types/txn.ts';
import type { KvEntry } from '../../shared/types/v1.ts';
import { quoted } from './catalog-writes.ts';
import type { Change } from './change.ts';
import { Refusal } from './change.ts';
import {
  deleteKey,
  deleteKeyIfUnchanged,
  deleteTree,
  hasLockDelay,
  lockKey,
  setKey,
  setKeyIfUnchanged,
  unlockKey,
} from './kv.ts';
import { entriesUnder, entryOf, keyRecord } from './kv-queries.ts';
import { packBytes } from './packed-bytes.ts';
import type { KvRecord } from './records.ts';
import type { Tables } from './tables.ts';
import { transact } from './tables.ts';
import { topic } from './topics.ts';
import { applyCatalogOp, readCatalogOp } from './txn-catalog.ts';
import type { Answer, Topic } from './types.ts';

/** Applies all operations, or none when any fails; then the outcome tells every failure. */
export function applyTransaction(change: Change, ops: readonly TxnOp[]): TxnOutcome {
  try {
    return transact(change.tables, () => {
      const outcome = outcomeOf(ops, (op) => applyOp(change, op));
      if (outcome.Errors !== null) throw new Undone(outcome);
      return outcome;
    });
  } catch (thrown) {
    if (thrown instanceof Undone) return thrown.outcome;
    throw thrown;
  }
}

class Undone extends Error {
  readonly outcome: TxnOutcome;

  constructor(outcome: TxnOutcome) {
    super('transaction undone');
    this.outcome = outcome;
  }
}

/** The outcome of operations that only read. */
export function readTransaction(tables: Tables, ops: readonly TxnOp[]): Answer<TxnOutcome> {
  const value = outcomeOf(ops, (op) => readOp(tables, op) ?? unknownVerb(op));
  return {
    value,
    indexOf: () => 1,
    topics: [...new Set(ops.flatMap(topicsOf))],
    weightBytes: 512 + (value.Results ?? []).reduce((sum, result) => sum + weightOf(result), 0),
  };
}

function outcomeOf(ops: readonly TxnOp[], run: (op: TxnOp) => readonly TxnResult[]): TxnOutcome {
  const results: TxnResult[] = [];
  const errors: TxnError[] = [];
  for (const [i, op] of ops.entries()) {
    try {
      results.push(...run(op));
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      errors.push({ OpIndex: i, What: thrown.message });
    }
  }
  return errors.length > 0 ? { Results: null, Errors: errors } : { Results: results, Errors: null };
}

function applyOp(change: Change, op: TxnOp): readonly TxnResult[] {
  const read = readOp(change.tables, op);
  if (read !== undefined) return read;
  return (op.kind === 'kv' ? applyKvOp(change, op) : applyCatalogOp(change, op)) ?? unknownVerb(op);
}

/** undefined: the verb is none that reads. */
function readOp(tables: Tables, op: TxnOp): readonly TxnResult[] | undefined {
  return op.kind === 'kv' ? readKvOp(tables, op) : readCatalogOp(tables, op);
}

const VERB_KINDS = { kv: 'KV', node: 'Node', service: 'Service', check: 'Check' } as const;

function unknownVerb(op: TxnOp): never {
  throw new Refusal(`unknown ${VERB_KINDS[op.kind]} verb ${quoted(op.verb)}`);
}

function readKvOp(tables: Tables, op: TxnKvOp): readonly TxnResult[] | undefined {
  const { key } = op;
  const record = keyRecord(tables, key);
  switch (op.verb) {
    case 'get':
      if (record === undefined) throw new Refusal(`key ${quoted(key)} doesn't exist`);
      return [{ KV: entryOf(record) }];
    case 'get-or-empty':
      return [{ KV: record === undefined ? emptyEntry(key) : entryOf(record) }];
    case 'get-tree':
      return entriesUnder(tables, key).value.map((entry) => ({ KV: entry }));
    case 'check-index':
      return [withoutValue(checkedIndex(record, op))];
    case 'check-session':
      return [withoutValue(checkedSession(record, op))];
    case 'check-not-exists':
      if (record !== undefined) throw new Refusal(`key ${quoted(key)} exists`);
      return [];
    default:
      return undefined;
  }
}

function checkedIndex(record: KvRecord | undefined, { key, index }: TxnKvOp): KvRecord {
  if (record === undefined) throw new Refusal(`failed to check index, key ${quoted(key)} doesn't exist`);
  const current = String(record.modifyIndex);
  if (current === index) return record;
  throw new Refusal(`failed index check for key ${quoted(key)}, current modify index ${current} != ${index}`);
}

function checkedSession(record: KvRecord | undefined, { key, session }: TxnKvOp): KvRecord {
  if (record === undefined) throw new Refusal(`failed to check session, key ${quoted(key)} doesn't exist`);
  if (record.session === session) return record;
  throw new Refusal(
    `failed session check for key ${quoted(key)}, current session ${quoted(record.session)} != ${quoted(session)}`,
  );
}

/** undefined: the verb is none that writes. */
function applyKvOp(change: Change, op: TxnKvOp): readonly TxnResult[] | undefined {
  const { key } = op;
  const write = { key, value: packBytes(op.value ?? NO_BYTES), flags: op.flags };
  switch (op.verb) {
    case 'set':
      setKey(change, write);
      return written(change, key);
    case 'cas':
      if (!setKeyIfUnchanged(change, write, Number(op.index))) stale('set', key);
      return written(change, key);
    case 'lock':
      if (!lockKey(change, write, op.session))
        throw new Refusal(lockProblem(change.tables, key, change.nowMs));
      return written(change, key);
    case 'unlock':
      if (!unlockKey(change, write, op.session)) {
        throw new Refusal(
          `failed to unlock key ${quoted(key)}, lock isn't held, or is held by another session`,
        );
      }
      return written(change, key);
    case 'delete':
      deleteKey(change, key);
      return [];
    case 'delete-cas':
      if (!deleteKeyIfUnchanged(change, key, Number(op.index))) stale('delete', key);
      return [];
    case 'delete-tree':
      deleteTree(change, key);
      return [];
    default:
      return undefined;
  }
}

const NO_BYTES = new Uint8Array(0);

function stale(action: 'set' | 'delete', key: string): never {
  throw new Refusal(`failed to ${action} key ${quoted(key)}, index is stale`);
}

/** Why a key could not be locked. */
export function lockProblem(tables: Tables, key: string, nowMs: number): string {
  return hasLockDelay(tables, key, nowMs)
    ? `failed to lock key ${quoted(key)} due to lock delay`
    : `failed to lock key ${quoted(key)}, lock is already held`;
}

function written({ tables }: Change, key: string): readonly TxnResult[] {
  const record = keyRecord(tables, key);
  if (record === undefined) throw new Error('state: a key is gone that was just written');
  return [withoutValue(record)];
}

function withoutValue(record: KvRecord): TxnResult {
  return { KV: entryOf({ ...record, value: '' }) };
}

function emptyEntry(key: string): KvEntry {
  return { LockIndex: 0, Key: key, Flags: 0, Value: null, CreateIndex: 0, ModifyIndex: 0 };
}

function topicsOf(op: TxnOp): Topic[] {
  switch (op.kind) {
    case 'kv':
      return [op.verb === 'get-tree' ? topic.kvTree(op.key) : topic.kvKey(op.key)];
    case 'node':
      return op.node.ID === '' ? [topic.node(op.node.Node)] : [topic.nodes];
    case 'service':
      return [topic.node(op.node)];
    case 'check':
      return [topic.node(op.check.Node), topic.nodeChecks(op.check.Node)];
    default:
      return op satisfies never;
  }
}

function weightOf({ KV }: TxnResult): number {
  return 160 + (KV?.Value?.length ?? 0);
}
