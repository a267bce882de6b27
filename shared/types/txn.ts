/** Transactions: the operations as they travel to the servers, and what comes back as on the wire. */

import type { HealthCheck, KvEntry, Node, RegisterRequest, Service, Uint64 } from './v1.ts';

/** `index` is an unsigned number in decimal text, so that operations are plain JSON data. Verbs are not checked yet. */
export interface TxnKvOp {
  readonly kind: 'kv';
  readonly verb: string;
  /** Key, or prefix for the tree verbs. */
  readonly key: string;
  /** null: empty, and for verbs that write nothing. */
  readonly value: Uint8Array | null;
  readonly flags: Uint64;
  readonly index: string;
  readonly session: string;
}

export interface TxnNodeOp {
  readonly kind: 'node';
  readonly verb: string;
  readonly node: Omit<Node, 'CreateIndex' | 'ModifyIndex'>;
  readonly index: string;
}

export interface TxnServiceOp {
  readonly kind: 'service';
  readonly verb: string;
  readonly node: string;
  readonly service: NonNullable<RegisterRequest['Service']>;
  readonly index: string;
}

export interface TxnCheckOp {
  readonly kind: 'check';
  readonly verb: string;
  readonly check: NonNullable<RegisterRequest['Check']>;
  readonly index: string;
}

export type TxnOp = TxnKvOp | TxnNodeOp | TxnServiceOp | TxnCheckOp;

/** Has exactly one key. */
export interface TxnResult {
  readonly KV?: KvEntry;
  readonly Node?: Node;
  readonly Service?: Service;
  readonly Check?: HealthCheck;
}

export interface TxnError {
  /** Position of the operation in the request. */
  readonly OpIndex: number;
  readonly What: string;
}

/** Exactly one of both is null. With errors nothing was applied. */
export interface TxnOutcome {
  readonly Results: readonly TxnResult[] | null;
  readonly Errors: readonly TxnError[] | null;
}

const KV_WRITES: ReadonlySet<string> = new Set([
  'set',
  'cas',
  'lock',
  'unlock',
  'delete',
  'delete-cas',
  'delete-tree',
]);

/** Whether the operation needs the log. Unknown verbs of keys count as reads, those of the catalog as writes. */
export function isTxnWrite(op: { readonly kind: TxnOp['kind']; readonly verb: string }): boolean {
  return op.kind === 'kv' ? KV_WRITES.has(op.verb) : op.verb !== 'get';
}
